"""The application `nbam` and its commands. Slow packages load only when a command runs."""

from typing import Annotated

import typer

from nbam_pyro import __version__
from nbam_pyro.cli.annotators import annotators
from nbam_pyro.cli.compare import compare
from nbam_pyro.cli.demo import demo
from nbam_pyro.cli.detect import detect
from nbam_pyro.cli.export import export
from nbam_pyro.cli.fit import fit
from nbam_pyro.cli.report import report
from nbam_pyro.cli.review import review
from nbam_pyro.cli.score import score
from nbam_pyro.cli.show import show
from nbam_pyro.cli.verify import verify

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in (
    fit,
    score,
    show,
    report,
    review,
    export,
    verify,
    compare,
    detect,
    annotators,
    demo,
):
    app.command()(command)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"nbam_pyro {__version__}")
        raise typer.Exit


@app.callback()
def main(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Probabilistic models for contaminated data."""
