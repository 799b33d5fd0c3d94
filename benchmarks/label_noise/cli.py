"""Arguments that the commands of this benchmark share."""

import argparse
from pathlib import Path

from benchmarks.arguments import Names, best_device, count, device
from benchmarks.label_noise.methods import METHODS
from benchmarks.label_noise.runner import Conditions


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
    parser.add_argument("--device", type=device, default=best_device())
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
