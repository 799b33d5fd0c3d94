"""`nbam score`."""

from pathlib import Path
from typing import Annotated

import typer

from nbam_pyro.cli.common import mistakes


def score(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder that nbam fit wrote.")],
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Labelled rows of the same kind.")],
    *,
    out: Annotated[Path, typer.Option(help="CSV file to write.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file.")] = False,
) -> None:
    """Score new labelled rows with a saved run: how probable it is that each is wrong."""
    with mistakes():
        from nbam_pyro.runs import score_file

        flags = score_file(run, data, out, overwrite=overwrite, say=typer.echo)
    expected = flags["responsibility"].sum()
    typer.echo(
        f"{len(flags)} rows scored; about {expected:.0f} of them ({expected / len(flags):.1%}) are "
        f"probably wrong. All are in {out}, the most suspicious first."
    )
