"""`nbam score`."""

from pathlib import Path
from typing import Annotated

import typer

from nbam_pyro.cli.common import ReplaceFile, RunArgument, mistakes, say


def score(
    run: RunArgument,
    data: Annotated[
        Path,
        typer.Argument(metavar="DATA", help="New rows, with the columns of the training data."),
    ],
    *,
    out: Annotated[Path, typer.Option(metavar="FILE", help="CSV file for the scores.")],
    overwrite: ReplaceFile = False,
) -> None:
    """Score new rows with a saved run.

    The score is the probability that a target is wrong, or for `nbam detect` how unusual a row is.
    """
    with mistakes():
        from nbam_pyro.cli.runs import score_file, scored_line

        flags = score_file(run, data, out, overwrite=overwrite, say=say)
        said = scored_line(flags)
    say(f"{said}. All rows are in {out}, with the most suspicious first.")
