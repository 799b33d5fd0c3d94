"""The work of `nbam detect --maps`: anomalies in images, and pictures of where they are."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from nbam_pyro.cli.files import NetworkFeatures, read
from nbam_pyro.cli.runs.frozen import FeatureOptions, with_features
from nbam_pyro.cli.runs.overlays import write_overlays
from nbam_pyro.cli.runs.schema import Settings, Summary
from nbam_pyro.cli.runs.scores import share_entries
from nbam_pyro.cli.runs.tables import write_table
from nbam_pyro.cli.runs.verified_rows import verified_codes
from nbam_pyro.detection import PatchDetector
from nbam_pyro.errors import DataError
from nbam_pyro.storage import new_folder, write_json, write_manifest

__all__ = ["MAPS", "check_maps", "map_folder"]

MAPS = "maps"
"""Folder of the pictures in a run folder."""


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


def map_folder(
    data: Path,
    out: Path,
    *,
    features: FeatureOptions,
    verified: str | None = None,
    contamination: float | Literal["auto"] = "auto",
    overwrite: bool = False,
    seed: int = 0,
    progress: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Find anomalies inside images, and write a run folder with pictures but without a detector.

    Args:
        data: Folder of images, or NPZ file with an array X of images.
        out: Run folder to write. It is written completely or not at all.
        features: Network that computes grids of features.
        verified: Name of the array that says which images somebody has verified, as in
            `detect_file`. None if no image is verified.
        contamination: Share of images with an anomaly, up to 0.5. With "auto", it is estimated.
        overwrite: True to replace an existing run folder.
        seed: Seed for the random cells of images.
        progress: True to show progress bars.
        say: Function that is called with each message about the progress.

    Returns:
        The content of summary.json.

    Raises:
        DataError: The data cannot be used, or the network returns no grid. The message says why.
        FolderError: The folder exists and `overwrite` is False, or it cannot be written.
    """
    with new_folder(out, overwrite=overwrite) as draft:
        started = time.perf_counter()
        beside = [] if verified is None else [verified]
        source = read(data, label=None, beside=beside, labelled=False)
        images = source.x
        source = with_features(
            source, features, data=data.name, pool=False, progress=progress, say=say
        )
        if not isinstance(source.x, NetworkFeatures) or not isinstance(images, list | np.ndarray):
            raise DataError(f"'{data}' has no images, and --maps is for images.")
        grid, network = source.x.values, source.x.network
        codes = verified_codes(source, verified)
        rows, columns, channels = grid.shape[1:]
        say(f"Scores of {len(grid)} images at {rows} x {columns} places ...")
        detector = PatchDetector(contamination=contamination, random_state=seed)
        detector.fit(grid, verified=codes)
        scores = detector.decision_scores_
        table = pd.DataFrame(
            {
                "row": source.rows,
                "score": scores,
                "flagged": detector.labels_.astype(bool),
                "responsibility": detector.report_.rows["responsibility"].to_numpy(),
            }
        )
        if codes is not None:
            table["verified_anomaly"] = codes
        order = np.argsort(-scores, kind="stable")
        table["picture"] = write_overlays(
            draft / MAPS,
            images,
            detector.maps_,
            names=[str(row) for row in source.rows],
            order=order,
            size=network.size,
            threshold=detector.threshold_,
        )
        summary = {
            "data": data.name,
            "task": "detection",
            "rows": len(table),
            "features": channels,
            "backbone": None,
            **share_entries(detector.report_),
            "flagged": int(table["flagged"].sum()),
            "threshold": detector.threshold_,
            "notes": [*source.notes, f"a score is the maximum of {rows} x {columns} places"],
            "seconds": round(time.perf_counter() - started, 1),
        }
        settings: dict[str, Any] = {"command": "detect-maps", "data": str(data)}
        settings |= {"verified": verified, "contamination": contamination}
        settings |= {"features": features.to_json(), "seed": seed}
        write_table(table.iloc[order], draft / "flags.csv")
        write_json(draft / "summary.json", summary, Summary)
        write_json(draft / "settings.json", settings, Settings)
        write_manifest(draft)
        return summary
