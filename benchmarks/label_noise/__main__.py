"""Label noise: ours and the baselines on one data set, one kind of noise and one rate.

    python -m benchmarks.label_noise --dataset digits --kind asymmetric --rate 0.4 \
        --methods nbam,cross_entropy --seeds 6 --json rows.json

Data sets other than digits are read from --data-root, as torchvision stores them; nothing is
downloaded. One process runs everything. The file is written after every method and seed, and rows
that it has are not measured again.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.arguments import Parser, rate
from benchmarks.label_noise import cli
from benchmarks.label_noise.problems import DATASETS, KINDS
from benchmarks.label_noise.runner import Case, run
from nbam_pyro.errors import DataError


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure one case."""
    parser = Parser(
        prog="python -m benchmarks.label_noise",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--dataset", choices=list(DATASETS), required=True)
    parser.add_argument("--kind", choices=list(KINDS), required=True, help="of noise")
    parser.add_argument("--rate", type=rate, required=True, help="of each source class")
    parser.add_argument("--json", type=Path, required=True, help="the file of rows")
    cli.add_conditions(parser, seeds=1)
    given = parser.parse_args(arguments)
    case = Case(dataset=given.dataset, kind=given.kind, rate=given.rate)
    try:
        run(case, cli.conditions(given, seeds=given.seeds), given.json)
    except DataError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
