"""The command line, `nbam`. Heavy imports wait until a command runs."""

import typer

from nbam_pyro.cli.demo import demo
from nbam_pyro.cli.fit import fit
from nbam_pyro.cli.score import score
from nbam_pyro.cli.show import show

__all__ = ["app"]

app = typer.Typer(
    help="Probabilistic models for contaminated data.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in (fit, score, show, demo):
    app.command()(command)
