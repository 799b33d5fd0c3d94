"""The work of `nbam detect --maps`: anomalies in images, and pictures of where they are."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nbam_pyro.cli.files import FrozenEncoding, NetworkFeatures, read
from nbam_pyro.cli.runs.detected_run import (
    DetectOptions,
    flagged,
    ordered,
    training_table,
    write_detected,
)
from nbam_pyro.cli.runs.frames import DEPENDENT, write_frames
from nbam_pyro.cli.runs.frozen import FeatureOptions, with_features
from nbam_pyro.cli.runs.info_schema import DetectedInfo
from nbam_pyro.cli.runs.overlays import write_overlays
from nbam_pyro.detection import PatchDetector
from nbam_pyro.detection.file_names import PATCHES
from nbam_pyro.detection.saved_patches import read_patches, write_patches
from nbam_pyro.errors import DataError, FolderError
from nbam_pyro.storage import check_files, new_folder, read_json, write_manifest

__all__ = ["check_maps", "map_folder", "score_mapped"]

# Folder of the pictures in a run folder.
_MAPS = "maps"


def check_maps(
    *,
    features: bool,
    backbone: str | None,
    epochs: int | None,
    drop: Sequence[str],
    keep: Sequence[str],
) -> None:
    """Raise an error for options that do not go with `--maps`.

    Args:
        features: Whether `--features` is given.
        backbone: Value of `--backbone`.
        epochs: Value of `--epochs`.
        drop: Values of `--drop`.
        keep: Values of `--keep`.

    Raises:
        DataError: The network is missing, or one of the other options is given.
    """
    if not features:
        raise DataError(
            "--maps needs a network that computes a grid of features. Give images and --features."
        )
    if backbone is not None or epochs is not None or drop or keep:
        raise DataError(
            "With --maps, places are compared with their nearest neighbours, and no network is "
            "trained. Leave out --backbone, --epochs, --drop and --keep."
        )


def map_folder(options: DetectOptions, *, frames: bool = False) -> dict[str, Any]:
    """Find anomalies inside images, and write a run folder with pictures.

    Args:
        options: Options of the command, with the network that computes grids of features.
        frames: True if the images are frames of videos in the order of their names. The run then
            has a table in this order, and a plot of the scores.

    Returns:
        The content of summary.json.

    Raises:
        DataError: The data cannot be used, or the network returns no grid. The message says why.
        FolderError: The folder exists and `overwrite` is False, or it cannot be written.
    """
    with new_folder(options.out, overwrite=options.overwrite, restart=options.restart) as draft:
        source = options.read()
        images = source.x
        source = options.with_features(source, pool=False)
        if not isinstance(source.x, NetworkFeatures):
            raise DataError(f"'{options.data}' has no images, and --maps is for images.")
        grid, network = source.x.values, source.x.network
        codes = options.codes(source)
        rows, columns, channels = grid.shape[1:]
        options.say(f"Scores of {len(grid)} images at {rows} x {columns} places ...")
        detector = PatchDetector(contamination=options.contamination, random_state=options.seed)
        detector.fit(grid, verified=codes)
        table = training_table(source.rows, detector, codes)
        folder = draft / _MAPS
        folder.mkdir()
        names = _pictures(
            folder, images, detector.maps_, table=table, detector=detector, size=network.size
        )
        table["picture"] = [f"{_MAPS}/{name}" if name else "" for name in names]
        notes = [*source.notes, f"a score is the maximum of {rows} x {columns} places"]
        if frames:
            write_frames(draft, table, threshold=detector.threshold_)
            notes.append(DEPENDENT)
        summary = write_detected(
            draft,
            options,
            detector,
            table,
            sha256=source.sha256,
            encoding=FrozenEncoding(network, channels),
            features=channels,
            notes=notes,
            settings={"command": "detect-maps", "frames": frames},
            summary={"backbone": None},
        )
        write_patches(draft, detector)
        write_manifest(draft)
        return summary


def score_mapped(
    run: Path,
    data: Path,
    *,
    features: FeatureOptions | None,
    maps: Path | None = None,
    frames: bool = False,
    overwrite: bool = False,
    progress: bool = False,
    say: Callable[[str], None],
) -> pd.DataFrame:
    """Score new images with the detector of a run, and write pictures of them.

    Args:
        run: Run folder that `map_folder` wrote.
        data: New images.
        features: The network of the run.
        maps: Folder to write for pictures. None to write no pictures.
        frames: True if the images are frames of videos in the order of their names. A table in
            this order and a plot of the scores are then in the folder of the pictures.
        overwrite: True to replace an existing folder of pictures.
        progress: True to show progress bars.
        say: Function that is called with each message about the progress.

    Returns:
        The table of images, the most suspicious first.

    Raises:
        DataError: The data are no images, the network is missing or another one, or there is no
            folder for the plot of frames.
        FolderError: The run is incomplete or was changed; or the folder of pictures exists and
            `overwrite` is False, or it cannot be written.
    """
    if frames and maps is None:
        raise DataError("--frames writes a table and a plot. Add --maps FOLDER to say where.")
    with nullcontext() if maps is None else new_folder(maps, overwrite=overwrite) as draft:
        info, encoding, detector = _read(run)
        beside = [] if info.verified is None else [info.verified]
        source = read(data, label=None, beside=beside, optional=True, labelled=False)
        images = source.x
        source = with_features(
            source,
            features,
            data=data.name,
            trained=encoding,
            pool=False,
            progress=progress,
            say=say,
        )
        found = detector.maps(encoding.computed(source.x))
        for note in source.notes:
            say(f"Note: {note}.")
        table = flagged(source.rows, found.max((1, 2)), detector)
        if maps is not None and draft is not None:
            size = encoding.network.size
            names = _pictures(draft, images, found, table=table, detector=detector, size=size)
            table["picture"] = [(maps / name).as_posix() if name else "" for name in names]
            if frames:
                write_frames(draft, table, threshold=detector.threshold_)
            write_manifest(draft)
        return ordered(table)


def _read(run: Path) -> tuple[DetectedInfo, FrozenEncoding, PatchDetector]:
    check_files(run, ["run.json", *PATCHES])
    info = read_json(run / "run.json", DetectedInfo)
    detector = read_patches(run, allow=())
    encoding = info.encoding
    if not isinstance(encoding, FrozenEncoding) or encoding.columns != detector.grid_shape_[2]:
        raise FolderError(
            f"'{run / 'run.json'}' describes other data than the detector in this folder. Restore "
            "the file or detect again."
        )
    return info, encoding, detector


def _pictures(
    folder: Path,
    images: Any,
    maps: np.ndarray,
    *,
    table: pd.DataFrame,
    detector: PatchDetector,
    size: int,
) -> list[str]:
    """Write overlays, and return the name of each image's picture; an empty text without one."""
    return write_overlays(
        folder,
        images,
        maps,
        names=[str(row) for row in table["row"]],
        order=ordered(table).index.to_numpy(),
        size=size,
        usual=float(np.median(detector.decision_scores_)),
        threshold=detector.threshold_,
    )
