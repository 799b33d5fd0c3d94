"""`nbam verify`."""

from pathlib import Path
from typing import Annotated

import typer

from nbam_pyro.cli.common import ReplaceFile, RunArgument, mistakes, say


def verify(
    run: RunArgument,
    answers: Annotated[
        Path,
        typer.Argument(
            metavar="ANSWERS",
            help="What people have answered: a JSON export of Label Studio or Argilla; or a CSV or "
            "Parquet table with the column row, and verdict (right, wrong or unsure) or "
            "true_label; or a filled-in table of nbam review.",
        ),
    ],
    *,
    out: Annotated[
        Path,
        typer.Option(metavar="FILE", help="CSV file of verified rows, for nbam fit --verified."),
    ],
    overwrite: ReplaceFile = False,
) -> None:
    """Turn answers of people about rows of a run into verified rows for another fit.

    The run folder does not change.
    """
    with mistakes():
        from nbam_pyro.cli.runs import verify_run

        lines = verify_run(run, answers, out, overwrite=overwrite)
    for line in lines:
        say(line)
