"""`nbam detect`."""

from pathlib import Path
from typing import Annotated

import typer

from nbam_pyro.cli.common import (
    Cache,
    Download,
    Drop,
    ImageScale,
    ImageSize,
    Jobs,
    Keep,
    Network,
    ReplaceRun,
    Restart,
    RunOut,
    mistakes,
    progress_wanted,
    say,
)


def detect(
    data: Annotated[
        Path | None,
        typer.Argument(
            metavar="[DATA]",
            help="CSV, Parquet or NPZ file (with an array X), without labels, or with --features "
            "or --backbone cobra a folder of images.",
        ),
    ] = None,
    *,
    scores: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="CSV or Parquet file with a column score, high for anomalies, from any detector "
            "that was not trained on these rows. Nothing is trained. Give it instead of DATA.",
        ),
    ] = None,
    verified: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            help="Column or array that says which rows somebody has verified: 1 or true for an "
            "anomaly, 0 or false for a normal row; empty where nothing is verified. Or a file, "
            "ending in .csv, that nbam verify wrote.",
        ),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            help="Neural model of normal rows: ntl (neural transformations), icl (internal "
            "contrast), svdd (deep support vector data description) or ae (autoencoder); for "
            "images cobra, which is trained to withstand changes of the pixels. With cobra, give "
            "--contamination a number: auto trains ten networks. Without --backbone, scores of "
            "several kinds are averaged: distances, densities and isolation."
        ),
    ] = None,
    nuisance: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Column or array of something that comes with the class but does not matter, such "
            "as a background, a colour or a mass. A network learns features that do not contain "
            "it. Needs --class.",
        ),
    ] = None,
    class_column: Annotated[
        str | None,
        typer.Option(
            "--class",
            metavar="COLUMN",
            help="Column or array of the class of each row, with --nuisance.",
        ),
    ] = None,
    contamination: Annotated[
        str,
        typer.Option(
            help="Share of the rows to flag, up to 0.5. With auto, rows are flagged that are more "
            "probably anomalies than not."
        ),
    ] = "auto",
    features: Network = None,
    maps: Annotated[
        bool,
        typer.Option(
            "--maps",
            help="Find places in images that are unlike other images, and write pictures of them "
            "to the folder maps of the run. The score of an image is that of its most suspicious "
            "place. --features must be a network whose result is a grid of features.",
        ),
    ] = False,
    frames: Annotated[
        bool,
        typer.Option(
            "--frames",
            help="With --maps: the images are frames of videos in the order of their names "
            "(frame_2 before frame_10), and each folder of images is a video. The run also has a "
            "table in this order, frames.csv, and a plot of the scores, timeline.png.",
        ),
    ] = False,
    image_size: ImageSize = None,
    image_scale: ImageScale = None,
    download: Download = False,
    cache: Cache = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            help="Number of training epochs with --backbone (default: 100; 30 for cobra) or "
            "--nuisance (30).",
            min=1,
        ),
    ] = None,
    drop: Drop = None,
    keep: Keep = None,
    out: RunOut = Path("nbam-run"),
    overwrite: ReplaceRun = False,
    restart: Restart = False,
    seed: Annotated[
        int, typer.Option(help="Seed for weights and batches.", min=0, max=2**32 - 1)
    ] = 0,
    jobs: Jobs = None,
) -> None:
    """Find anomalies in DATA, or in the scores of any detector, and write a run folder.

    If training with --backbone is interrupted, the same command continues after the last finished
    epoch.
    """
    with mistakes():
        from nbam_pyro.storage import check_folder

        check_folder(out, overwrite=overwrite)  # before the slow imports
        from nbam_pyro.cli.runs import (
            DetectOptions,
            check_maps,
            check_nuisance,
            detect_file,
            detect_nuisance,
            detect_scores,
            feature_options,
            map_folder,
            parse_backbone,
            parse_share,
            show_lines,
        )
        from nbam_pyro.errors import DataError

        network = feature_options(
            features, size=image_size, pixels=image_scale, download=download, cache=cache
        )
        if (data is None) == (scores is None):
            raise DataError("Give either DATA or --scores FILE.")
        if scores is not None and network is not None:
            raise DataError("--features is for images, not for --scores. Leave it out.")
        if frames and not maps:
            raise DataError("--frames is for images with --maps. Add --maps, or leave it out.")
        if maps:
            check_maps(
                features=network is not None,
                backbone=backbone,
                epochs=epochs,
                drop=drop or (),
                keep=keep or (),
            )
        told = check_nuisance(
            nuisance,
            class_column,
            others={"--backbone": backbone, "--maps": maps or None, "--scores": scores},
        )
        if jobs is not None and told is None:
            raise DataError(
                "--jobs is for --nuisance, which makes several fits. Other detectors train all "
                "their models together. Leave it out."
            )
        if scores is not None:
            summary = detect_scores(
                scores, out, verified=verified, overwrite=overwrite, restart=restart, seed=seed
            )
        elif data is not None:
            options = DetectOptions(
                data=data,
                out=out,
                verified=verified,
                contamination=parse_share(contamination),
                features=network,
                epochs=epochs,
                drop=drop or (),
                keep=keep or (),
                overwrite=overwrite,
                restart=restart,
                seed=seed,
                n_jobs=jobs,
                progress=progress_wanted(),
                say=say,
            )
            if maps:
                summary = map_folder(options, frames=frames)
            elif told is not None:
                summary = detect_nuisance(options, told=told)
            else:
                named = None if backbone is None else parse_backbone(backbone)
                summary = detect_file(options, backbone=named)
    for line in show_lines(summary):
        say(line)
    say(f"The run is in {out}/. flags.csv has every row, with the most suspicious first.")
