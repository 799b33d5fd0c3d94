"""The whole grid of cases, or some of it, one file each; started again it goes on where it was.

python -m benchmarks.label_noise.grid --data-root data
python -m benchmarks.label_noise.grid --datasets digits --kinds asymmetric --methods nbam
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.arguments import Parser
from benchmarks.label_noise import cli
from benchmarks.label_noise.problems import DATASETS, KINDS
from benchmarks.label_noise.runner import Case, run
from nbam_pyro.errors import DataError

RESULTS = Path(__file__).parent.parent / "results" / "label_noise"


class Part(NamedTuple):
    """Rates of one data set and kind of noise, and for how many seeds."""

    dataset: str
    kind: str
    rates: tuple[float, ...]
    seeds: int


GRID = (
    Part("digits", "asymmetric", (0.0, 0.1, 0.2, 0.4, 0.6), 6),
    Part("digits", "symmetric", (0.2, 0.4, 0.6), 6),
    Part("digits", "pair", (0.2, 0.4), 6),
    Part("digits", "instance", (0.2, 0.4), 6),
    Part("digits", "local", (0.2, 0.4), 6),
    Part("fashion_mnist", "asymmetric", (0.0, 0.2, 0.4, 0.6), 3),
    Part("fashion_mnist", "symmetric", (0.4,), 3),
    Part("fashion_mnist", "pair", (0.4,), 3),
    Part("fashion_mnist", "instance", (0.4,), 3),
    Part("fashion_mnist", "local", (0.4,), 3),
    Part("cifar10", "asymmetric", (0.2, 0.4, 0.6), 2),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what the files do not have yet."""
    parser = Parser(
        prog="python -m benchmarks.label_noise.grid",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--datasets", type=cli.Names(DATASETS), default=list(DATASETS))
    parser.add_argument("--kinds", type=cli.Names(KINDS), default=list(KINDS))
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the files")
    cli.add_conditions(parser, seeds=None)
    given = parser.parse_args(arguments)
    try:
        for case, seeds in cases(given.datasets, given.kinds):
            path = given.results / f"{case.dataset}-{case.kind}-{case.rate}.json"
            run(case, cli.conditions(given, seeds=given.seeds or seeds), path)
    except DataError as error:
        parser.error(str(error))


def cases(datasets: Sequence[str], kinds: Sequence[str]) -> Iterator[tuple[Case, int]]:
    """The cases of the grid of these data sets and kinds, and how many seeds each has."""
    for part in GRID:
        if part.dataset in datasets and part.kind in kinds:
            for rate in part.rates:
                yield Case(dataset=part.dataset, kind=part.kind, rate=rate), part.seeds


if __name__ == "__main__":
    main()
