"""The work of `nbam detect`, and the scoring of new rows with its runs."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from nbam_pyro.cli.files import Source, read
from nbam_pyro.cli.runs.detector_options import BackboneName
from nbam_pyro.cli.runs.features import learn, named, oddities
from nbam_pyro.cli.runs.folder import shape_of
from nbam_pyro.cli.runs.frozen import FeatureOptions, with_features
from nbam_pyro.cli.runs.schema import DetectedInfo, Settings, Summary
from nbam_pyro.cli.runs.scores import share_entries
from nbam_pyro.cli.runs.tables import write_table
from nbam_pyro.cli.runs.verified_rows import verified_codes, verified_column
from nbam_pyro.detection import (
    AnomalyDetector,
    MixedDetector,
    ScoredDetector,
)
from nbam_pyro.detection.saved_rows import FILES, RowDetector, read_rows, write_rows
from nbam_pyro.detection.saving import AnyDetector
from nbam_pyro.errors import DataError, FolderError
from nbam_pyro.storage import check_files, new_folder, read_json, write_json, write_manifest

__all__ = ["detect_file", "flagged", "is_detected", "ordered", "picture", "score_detected"]


def detect_file(
    data: Path,
    out: Path,
    *,
    verified: str | None = None,
    backbone: BackboneName | None = None,
    contamination: float | Literal["auto"] = "auto",
    features: FeatureOptions | None = None,
    epochs: int | None = None,
    drop: Sequence[str] = (),
    keep: Sequence[str] = (),
    overwrite: bool = False,
    seed: int = 0,
    progress: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Find anomalies in a data file and write a run folder.

    Args:
        data: CSV or Parquet file, NPZ file with an array X, or a folder of images. All columns are
            features except identifiers and those in `verified` and `drop`.
        out: Run folder to write. It is written completely or not at all.
        verified: Name of the column or array that says which rows somebody has verified: 1 or true
            for an anomaly, 0 or false for a normal row, empty where nothing is verified. It is not
            used as a feature. None if no row is verified.
        backbone: Neural model of normal rows. None to average scores of several kinds instead.
        contamination: Share of anomalies, up to 0.5. With "auto", it is estimated.
        features: Network that computes features of images. Images need one, unless the backbone
            takes images.
        epochs: Number of training epochs of a neural model. None for the default.
        drop: Columns not to use as features. Columns that have a typical identifier name (such as
            `id`) and a different value in every row are also left out.
        keep: Columns to use as features although they look like identifiers.
        overwrite: True to replace an existing run folder.
        seed: Seed for weights and batches, or for random parts of the rows.
        progress: True to show progress bars.
        say: Function that is called with each message about the progress.

    Returns:
        The content of summary.json.

    Raises:
        DataError: The data cannot be used. The message says why.
        FolderError: The folder exists and `overwrite` is False, or it cannot be written.
    """
    if backbone is None and epochs is not None:
        raise DataError("--epochs is for neural models. Leave it out, or add --backbone.")
    with new_folder(out, overwrite=overwrite) as draft:
        started = time.perf_counter()
        column = verified_column(verified)
        beside = [] if column is None else [column]
        source = read(data, label=None, beside=beside, labelled=False)
        source = with_features(source, features, data=data.name, progress=progress, say=say)
        _check_kind(source, backbone, data=data)
        learned = learn(source, data=data.name, drop=drop, keep=keep)
        x = learned.x
        codes = verified_codes(source, verified)
        say(f"Training on {len(x)} rows ...")
        detector: RowDetector
        if backbone is None:
            detector = MixedDetector(contamination=contamination, random_state=seed)
        else:
            detector = AnomalyDetector(
                backbone.backbone,
                contamination=contamination,
                random_state=seed,
                progress=progress,
                trainer={"default_root_dir": draft},
                **(backbone.settings | ({} if epochs is None else {"epochs": epochs})),
            )
        detector.fit(named(learned.encoding, x), verified=codes)
        table = flagged(source.rows, detector.decision_scores_, detector)
        # Verified rows have a responsibility of 0 or 1.
        table["responsibility"] = detector.report_.rows["responsibility"].to_numpy()
        if codes is not None:
            table["verified_anomaly"] = codes
        summary = {
            "data": data.name,
            "task": "detection",
            "rows": len(table),
            "features": x[0].size,
            "backbone": None if backbone is None else backbone.value,
            **share_entries(detector.report_),
            "flagged": int(table["flagged"].sum()),
            "threshold": detector.threshold_,
            "notes": learned.notes,
            "seconds": round(time.perf_counter() - started, 1),
        }
        settings: dict[str, Any] = {"command": "detect", "data": str(data), "verified": verified}
        settings |= {"features": None if features is None else features.to_json()}
        settings |= {"backbone": summary["backbone"], "contamination": contamination}
        settings |= {"drop": list(drop), "keep": list(keep), "epochs": epochs, "seed": seed}
        write_table(ordered(table), draft / "flags.csv")
        write_json(draft / "summary.json", summary, Summary)
        write_json(draft / "settings.json", settings, Settings)
        info = {"verified": column, "encoding": asdict(learned.encoding)}
        write_json(draft / "run.json", info, DetectedInfo)
        write_rows(draft, detector)
        picture(draft, detector)
        write_manifest(draft)
        return summary


def score_detected(
    run: Path,
    data: Path,
    *,
    features: FeatureOptions | None = None,
    progress: bool = False,
    say: Callable[[str], None],
) -> pd.DataFrame:
    """Score new rows with the detector of a run.

    Args:
        run: Run folder that `detect_file` or `detect_nuisance` wrote.
        data: New rows, of the same kind as the training rows.
        features: Network that computed the features of the training images; None if there is none.
        progress: True to show progress bars.
        say: Function that is called with each message about the progress.

    Raises:
        DataError: The data are of another kind than the training data.
        FolderError: The run is incomplete or was changed.
    """
    check_files(run, ["run.json", *FILES])
    info = read_json(run / "run.json", DetectedInfo)
    detector = read_rows(run, allow=())
    # For images, the number of features is that of the channels.
    if shape_of(info.encoding)[0] != detector.n_features_in_:
        raise FolderError(
            f"'{run / 'run.json'}' describes other data than the detector in this folder. Restore "
            "the file or detect again."
        )
    beside = [*([] if info.verified is None else [info.verified]), *info.ignored]
    source = read(data, label=None, beside=beside, optional=True, labelled=False)
    encoding = info.encoding
    source = with_features(
        source, features, data=data.name, trained=encoding, progress=progress, say=say
    )
    encoded = encoding.encode(source.x)
    for note in [*encoded.notes, *oddities(encoding, source, encoded.x, data=data.name)]:
        say(f"Note: {note}.")
    scores = detector.decision_function(named(encoding, encoded.x))
    return ordered(flagged(source.rows, scores, detector))


def _check_kind(source: Source, backbone: BackboneName | None, *, data: Path) -> None:
    """Raise a `DataError` if a model of tables gets images, or the reverse."""
    images = isinstance(source.x, list) or (isinstance(source.x, np.ndarray) and source.x.ndim > 2)
    wanted = backbone is not None and backbone.of_images
    if images and not wanted:
        raise DataError(
            f"'{data}' has images, but this model needs a table or an array (N, D) of features. "
            "Add --features with a pretrained network, or use --backbone cobra, which takes images."
        )
    if wanted and not images:
        raise DataError(
            f"'{data}' is a table of features, but --backbone cobra takes images: a folder of "
            "images without --features, or an NPZ file with an array X of shape (rows, channels, "
            "height, width). For tables, give ntl, icl, svdd or ae."
        )


def is_detected(run: Path) -> bool:
    """Return True if a run folder has a detector of rows.

    Args:
        run: Run folder.
    """
    return (run / FILES[0]).exists()


def ordered(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with its rows sorted by score, the highest score first.

    Args:
        table: Table with a column "score".
    """
    return table.sort_values("score", ascending=False, kind="stable")


def flagged(
    rows: np.ndarray, scores: np.ndarray, detector: AnyDetector | ScoredDetector
) -> pd.DataFrame:
    """Return a table of rows, with flags and responsibilities by their scores.

    Args:
        rows: Names of the rows, (N,).
        scores: Scores of the rows by this detector, (N,).
        detector: Fitted detector.
    """
    return pd.DataFrame(
        {
            "row": rows,
            "score": scores,
            "flagged": scores > detector.threshold_,
            "responsibility": detector.report_.responsibility_of(scores),
        }
    )


def picture(folder: Path, detector: ScoredDetector) -> None:
    """Draw the scores of the training rows into the folder `plots` of a run.

    Args:
        folder: Run folder.
        detector: Fitted detector.
    """
    (folder / "plots").mkdir()
    figure = Figure(figsize=(6.4, 4), layout="constrained")
    ax = figure.subplots()
    ax.hist(detector.decision_scores_, bins=60, color="tab:blue")
    ax.axvline(detector.threshold_, color="black", linestyle=":", label="flagged above")
    ax.set_yscale("log")
    ax.set_xlabel("score")
    ax.set_ylabel("rows")
    ax.set_title("Scores of the training rows")
    ax.legend()
    figure.savefig(folder / "plots" / "scores.png", dpi=150)
