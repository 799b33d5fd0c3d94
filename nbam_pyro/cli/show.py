"""`nbam show`."""

from pathlib import Path
from typing import Annotated

import typer

from nbam_pyro.cli.common import mistakes, say


def show(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="Run folder that nbam fit or nbam detect wrote.")
    ],
) -> None:
    """Say what a run found: how much is wrong, which directions, how sure, which rows first."""
    with mistakes():
        from nbam_pyro.cli.runs import read_report, show_lines, table_lines

        summary, flags = read_report(run)
    for line in [*show_lines(summary), "", *table_lines(flags)]:
        say(line)
