"""What the commands share: how mistakes and warnings are told."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from nbam_pyro.errors import NBAMError, NBAMWarning, WildValueWarning, printable


@contextmanager
def mistakes() -> Iterator[None]:
    """One line on stderr and exit code 2 for a mistake; our warnings as lines of their own."""
    mistake: Exception | None = None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default", NBAMWarning)
        warnings.simplefilter("ignore", WildValueWarning)  # a note on the file names them
        try:
            yield
        except (NBAMError, OSError) as error:
            mistake = error
    if mistake is not None:
        say(f"nbam: {' '.join(str(mistake).split())}", err=True)
        raise typer.Exit(2) from mistake
    for warning in caught:
        if issubclass(warning.category, NBAMWarning):
            say(f"nbam: warning: {warning.message}", err=True)
        else:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )


def say(text: object, *, err: bool = False) -> None:
    """Print a line, with the control characters that names in data may have as escapes.

    Args:
        text: What to print.
        err: Whether to print to stderr.
    """
    typer.echo(printable(str(text)), err=err)


def progress_wanted() -> bool:
    """Progress bars are for a person at a terminal."""
    return sys.stderr.isatty()
