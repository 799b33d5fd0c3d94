"""Options that several commands share, and the display of mistakes and warnings."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from nbam_pyro.errors import (
    CannotTellWarning,
    CollapseWarning,
    NBAMError,
    NBAMWarning,
    WildValueWarning,
    printable,
)


def _not_zero(jobs: int | None) -> int | None:
    """Return a number of processes, and refuse 0."""
    if jobs == 0:
        raise typer.BadParameter("0 processes cannot fit anything. Give 1 or more, or -1.")
    return jobs


RunArgument: TypeAlias = Annotated[
    Path,
    typer.Argument(metavar="RUN", help="Run folder that nbam fit, detect or demo wrote."),
]
Drop: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--drop",
        metavar="NAME",
        help="Column to leave out of the features. Repeat the option for several columns.",
    ),
]
Keep: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--keep",
        metavar="NAME",
        help="Column to keep as a feature although it looks like an identifier. Repeat the option "
        "for several columns.",
    ),
]
Network: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--features",
        metavar="NETWORK",
        help="Pretrained network that turns images into features: NAME of a classifier of "
        "torchvision such as resnet18, NAME:FILE.safetensors for its weights in a file, or a "
        "TorchScript FILE.",
    ),
]
ImageSize: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--image-size",
        help="Height and width in pixels that the network gets. Default: that of its weights; 224 "
        "for a TorchScript file.",
        min=1,
    ),
]
ImageScale: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--image-scale",
        metavar="MEAN,SD",
        help="Mean and standard deviation of pixels from 0 to 1 that the network was trained "
        "with, for instance 0.5,0.5. Default: those of its weights; those of ImageNet for a "
        "TorchScript file.",
    ),
]
Download: TypeAlias = Annotated[
    bool,
    typer.Option("--download", help="Download the weights of the network if they are missing."),
]
Cache: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--cache",
        metavar="FOLDER",
        help="Folder for the features of images. Default: nbam_pyro/features in the user's cache "
        "folder.",
    ),
]
Jobs: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        metavar="N",
        help="Number of processes for independent fits: 1 by default, -1 for one per processor. "
        "It does not change the result, except for the rounding of sums if torch has several "
        "threads.",
        callback=_not_zero,
    ),
]
RunOut: TypeAlias = Annotated[
    Path, typer.Option("--out", metavar="FOLDER", help="Run folder to write.")
]
ReplaceRun: TypeAlias = Annotated[
    bool, typer.Option("--overwrite", help="Replace the run folder if it exists.")
]
Restart: TypeAlias = Annotated[
    bool,
    typer.Option("--restart", help="Throw away the progress of an interrupted command first."),
]
ReplaceFile: TypeAlias = Annotated[
    bool, typer.Option("--overwrite", help="Replace the CSV file if it exists.")
]


@contextmanager
def mistakes() -> Iterator[None]:
    """Show mistakes and warnings of this package as single lines on stderr.

    A mistake (an `NBAMError` or `OSError`) ends the command with exit code 2. Warnings of other
    packages are passed on.
    """
    mistake: Exception | None = None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default", NBAMWarning)
        # A note about the file already lists wild values.
        warnings.simplefilter("ignore", WildValueWarning)
        # The summary of a run states its verdict, with the names of the classes.
        warnings.simplefilter("ignore", CannotTellWarning)
        warnings.simplefilter("default", CollapseWarning)
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
    """Print a line. Control characters, which names in data may contain, are shown as escapes.

    Args:
        text: Text to print; other objects are converted with `str`.
        err: True to print to stderr.
    """
    typer.echo(printable(str(text)), err=err)


def progress_wanted() -> bool:
    """Return True if stderr is a terminal, where a person can see progress bars."""
    return sys.stderr.isatty()
