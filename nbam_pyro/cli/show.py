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
        from nbam_pyro.runs import read_report, show_lines

        summary, flags = read_report(run)
    for line in show_lines(summary):
        say(line)
    say("")
    which = f"of {len(flags)}"
    if "verified" in flags:
        flags = flags[~flags["verified"]].drop(columns="verified")
        which = f"of {len(flags)} that are not verified"
    say(f"The {min(20, len(flags))} most suspicious rows ({which}):")
    say(flags.head(20).to_string(index=False, float_format="{:.3f}".format))
