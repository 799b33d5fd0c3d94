"""`nbam report`."""

from pathlib import Path
from typing import Annotated

import typer

from nbam_pyro.cli.common import RunArgument, mistakes, say


def report(
    run: RunArgument,
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="HTML file to write. Default: the name of RUN with .html."
        ),
    ] = None,
    rows: Annotated[
        bool,
        typer.Option(
            "--rows/--no-rows",
            help="List the 500 most suspicious rows, with their cells or images. With --no-rows "
            "the file has no labels, cells, images or names of rows.",
        ),
    ] = True,
    by: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Column of the data to group rows by, such as a source."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the HTML file if it exists.")
    ] = False,
) -> None:
    """Write the results of a run as one HTML file, to read in a browser without a network."""
    with mistakes():
        from nbam_pyro.cli.runs import report_run

        resolved = run.resolve()
        path = resolved.with_name(f"{resolved.name}.html") if out is None else out
        missing = report_run(run, path, by=by, show_rows=rows, overwrite=overwrite)
        lines = [f"The report is in {path}. Open it in a browser."]
        if missing:
            lines.append(f"Note: {missing}")
    for line in lines:
        say(line)
