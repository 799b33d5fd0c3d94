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
    out: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            help="CSV file for the scores, the most suspicious rows first; or NAME.parquet, a "
            "folder of Parquet files in the order of the data, for any number of rows.",
        ),
    ],
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
    series: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Column that names the series of each row. Contamination comes in bursts, and a "
            "row is judged by its whole series.",
        ),
    ] = None,
    order: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Column of numbers or times by which the rows of a series are ordered. Default "
            "with --series: the order of DATA.",
        ),
    ] = None,
    live: Annotated[
        bool,
        typer.Option(
            "--filter",
            help="With --series or --order: judge a row by the rows up to it, as in live use.",
        ),
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Replace the scores and the folder of --maps if they exist."
        ),
    ] = False,
    restart: Annotated[
        bool,
        typer.Option(
            "--restart",
            help="Throw away what an interrupted command has written to NAME.parquet, and begin "
            "again. Without it, the same command goes on.",
        ),
    ] = False,
) -> None:
    """Score new rows with a saved run.

    The score is the probability that a target is wrong, or for `nbam detect` how unusual a row is.
    A run with `--features` needs the same network again.
    """
    with mistakes():
        from nbam_pyro.cli.runs import Bursts, feature_options, is_folder, score_file, scored_line

        together = live or series is not None or order is not None
        found = score_file(
            run,
            data,
            out,
            features=feature_options(features, download=download, cache=cache),
            maps=maps,
            frames=frames,
            bursts=Bursts(series, order, live) if together else None,
            overwrite=overwrite,
            restart=restart,
            progress=progress_wanted(),
            say=say,
        )
        said = scored_line(found)
    order = "in the order of the data" if is_folder(out) else "with the most suspicious first"
    say(f"{said}. All rows are in {out}, {order}.")
    if maps is not None:
        say(f"Pictures of the most suspicious images are in {maps}/.")
