"""`nbam score`."""

from pathlib import Path
from typing import Annotated

import typer

from nbam_pyro.cli.common import mistakes, say


def score(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="Run folder that nbam fit or nbam detect wrote.")
    ],
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Rows of the same kind.")],
    *,
    out: Annotated[Path, typer.Option(help="CSV file to write.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file.")] = False,
) -> None:
    """Score new rows with a saved run: how probably each label is wrong, or how odd each row."""
    with mistakes():
        from nbam_pyro.cli.runs import score_file, scored_line

        flags = score_file(run, data, out, overwrite=overwrite, say=say)
        said = scored_line(flags)
    say(f"{said}. All are in {out}, the most suspicious first.")
