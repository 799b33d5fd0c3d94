"""Arguments that the commands of this benchmark share."""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

import torch

from benchmarks.label_noise.methods import METHODS
from benchmarks.label_noise.runner import Conditions


class Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one line, without the usage, and exits with 2."""

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {message}", file=sys.stderr)
        sys.exit(2)


def add_conditions(parser: argparse.ArgumentParser, *, seeds: int | None) -> None:
    """Add what `conditions` reads.

    Args:
        parser: to add to.
        seeds: how many where nothing is said.
    """
    parser.add_argument("--methods", type=Names(METHODS), default=list(METHODS), help="by commas")
    parser.add_argument("--seeds", type=count, default=seeds, help="how many")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--data-root", type=Path, help="folder of the images")
    parser.add_argument("--train-size", type=count, help="noisy rows, validation included")
    parser.add_argument("--epochs", type=count, help="of one training run")
    parser.add_argument("--device", type=device, default=_best_device())
    parser.add_argument("--overwrite", action="store_true", help="measure known rows again")


def conditions(given: argparse.Namespace, *, seeds: int) -> Conditions:
    """What was given, for so many seeds."""
    return Conditions(
        methods=given.methods,
        seeds=range(given.first_seed, given.first_seed + seeds),
        root=given.data_root,
        train_size=given.train_size,
        epochs=given.epochs,
        device=given.device,
        overwrite=given.overwrite,
    )


class Names:
    """A comma-separated list of known names."""

    def __init__(self, known: Iterable[str]) -> None:
        self.known = list(known)

    def __call__(self, text: str) -> list[str]:
        names = text.split(",")
        unknown = [name for name in names if name not in self.known]
        if unknown:
            raise argparse.ArgumentTypeError(
                f"there is no {', '.join(map(repr, unknown))}; choose among {', '.join(self.known)}"
            )
        return names


def rate(text: str) -> float:
    """A share in [0, 1]."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not in [0, 1]")
    return value


def count(text: str) -> int:
    """A positive whole number."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not positive")
    return value


def device(text: str) -> torch.device:
    """A device that is there."""
    try:
        torch.empty(0, device=text)
    # Torch asserts that it was built for a device.
    except (RuntimeError, AssertionError) as error:
        raise argparse.ArgumentTypeError(f"there is no device {text!r} here") from error
    return torch.device(text)


def _best_device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"
