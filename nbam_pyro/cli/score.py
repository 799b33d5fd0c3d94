"""`nbam score`."""

from pathlib import Path
from typing import Annotated

import typer

from nbam_pyro.cli.common import (
    Cache,
    Download,
    Network,
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
    maps: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Folder for pictures of suspicious places in new images, with a run of nbam "
            "detect --maps.",
        ),
    ] = None,
    frames: Annotated[
        bool,
        typer.Option(
            "--frames",
            help="The images are frames of videos in the order of their names. A table in this "
            "order, frames.csv, and a plot of the scores, timeline.png, are added to --maps "
            "FOLDER.",
        ),
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Replace the CSV file and the folder of --maps if they exist."
        ),
    ] = False,
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
            maps=maps,
            frames=frames,
            overwrite=overwrite,
            progress=progress_wanted(),
            say=say,
        )
        said = scored_line(flags)
    say(f"{said}. All rows are in {out}, with the most suspicious first.")
    if maps is not None:
        say(f"Pictures of the most suspicious images are in {maps}/.")
