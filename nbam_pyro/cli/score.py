"""`nbam score`."""

from pathlib import Path
from typing import Annotated

import typer

from nbam_pyro.cli.common import (
    Cache,
    Download,
    Network,
    ReplaceFile,
    RunArgument,
    mistakes,
    progress_wanted,
    say,
)


def score(
    run: RunArgument,
    data: Annotated[
        Path,
        typer.Argument(metavar="DATA", help="New rows, with the columns of the training data."),
    ],
    *,
    out: Annotated[Path, typer.Option(metavar="FILE", help="CSV file for the scores.")],
    features: Network = None,
    download: Download = False,
    cache: Cache = None,
    overwrite: ReplaceFile = False,
) -> None:
    """Score new rows with a saved run.

    The score is the probability that a target is wrong, or for `nbam detect` how unusual a row is.
    A run with `--features` needs the same network again.
    """
    with mistakes():
        from nbam_pyro.cli.runs import feature_options, score_file, scored_line

        flags = score_file(
            run,
            data,
            out,
            features=feature_options(features, download=download, cache=cache),
            overwrite=overwrite,
            progress=progress_wanted(),
            say=say,
        )
        said = scored_line(flags)
    say(f"{said}. All rows are in {out}, with the most suspicious first.")
