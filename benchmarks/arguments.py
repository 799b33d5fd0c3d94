"""Arguments of benchmarks, and how mistakes in them are told."""

import argparse
import sys
from collections.abc import Iterable
from typing import NoReturn

import torch


class Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one line, without the usage, and exits with 2."""

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {message}", file=sys.stderr)
        sys.exit(2)


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


def best_device() -> str:
    """A GPU where there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"
