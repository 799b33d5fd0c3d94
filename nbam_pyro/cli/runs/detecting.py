"""What `nbam detect` does: rows in, a run folder with their scores out."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from nbam_pyro.cli.files import read
from nbam_pyro.cli.runs.features import learn, named, oddities
from nbam_pyro.cli.runs.folder import shape_of
from nbam_pyro.cli.runs.schema import DetectedInfo, Settings, Summary
from nbam_pyro.cli.runs.tables import write_table
from nbam_pyro.detection import (
    AnomalyDetector,
    AutoEncoder,
    Backbone,
    DeepSVDD,
    InternalContrast,
    NeuralTransformations,
)
from nbam_pyro.detection.saving import FILES, load_detector, write_detector
from nbam_pyro.errors import DataError, FolderError
from nbam_pyro.estimators.verified import codes_of, switches
from nbam_pyro.storage import check_files, new_folder, read_json, write_json, write_manifest

__all__ = [
    "BackboneName",
    "detect_file",
    "is_detected",
    "parse_backbone",
    "parse_share",
    "score_detected",
]


class BackboneName(StrEnum):
    """The backbones that the command line knows."""

    NTL = "ntl"
    ICL = "icl"
    SVDD = "svdd"
    AE = "ae"

    @property
    def backbone(self) -> Callable[..., Backbone]:
        """The class of that name."""
        match self:
            case BackboneName.NTL:
                return NeuralTransformations
            case BackboneName.ICL:
                return InternalContrast
            case BackboneName.SVDD:
                return DeepSVDD
            case BackboneName.AE:
                return AutoEncoder


def parse_backbone(text: str) -> BackboneName:
    """A backbone from its name.

    Raises:
        DataError: there is no such backbone.

    Example:
        >>> parse_backbone("ntl")
        <BackboneName.NTL: 'ntl'>
    """
    try:
        return BackboneName(text)
    except ValueError as error:
        raise DataError(f"--backbone is {text!r}; give {', '.join(BackboneName)}.") from error


def parse_share(text: str) -> float | Literal["auto"]:
    """A share from "0.1", or "auto".

    Raises:
        DataError: it is neither.

    Example:
        >>> parse_share("0.1")
        0.1
    """
    if text == "auto":
        return "auto"
    try:
        return float(text)
    except ValueError as error:
        raise DataError(f"--contamination is {text!r}; give a share, or auto.") from error


def detect_file(
    data: Path,
    out: Path,
    *,
    verified: str | None = None,
    backbone: BackboneName = BackboneName.NTL,
    contamination: float | Literal["auto"] = "auto",
    epochs: int = 100,
    drop: Sequence[str] = (),
    keep: Sequence[str] = (),
    overwrite: bool = False,
    seed: int = 0,
    progress: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Find anomalies in a data file and write a run folder.

    Args:
        data: A CSV or Parquet file every column of which is a feature, or NPZ with an array X.
        out: The run folder to write, whole or not at all.
        verified: Name of the column or array that says which rows somebody has verified: 1 or true
            for an anomaly, 0 or false for a normal row, empty where nothing is verified. It is no
            feature. None if there is no such column.
        backbone: The model of normal rows.
        contamination: The share of anomalies, or "auto".
        epochs: Epochs of training.
        drop: Columns that are no features. Columns that are named as identifiers usually are,
            and whose values all differ, are left out too.
        keep: Columns that are features though they look like identifiers.
        overwrite: Whether a run folder that exists is replaced.
        seed: Seed of weights and batches.
        progress: Whether progress bars are shown.
        say: Takes sentences on what is done.

    Returns:
        The content of summary.json.

    Raises:
        DataError: The data cannot be used; the message says why.
        FolderError: The folder exists and may not be overwritten, or cannot be written.
    """
    with new_folder(out, overwrite=overwrite) as draft:
        started = time.perf_counter()
        beside = [] if verified is None else [verified]
        source = read(data, label=None, beside=beside, labelled=False)
        learned = learn(source, data=data.name, drop=drop, keep=keep)
        x = learned.x
        if x.ndim != 2:
            raise DataError(
                f"{data} has images or arrays of rows: nbam detect takes a row of features per "
                "datum; for images use AnomalyDetector(Rotations) in Python."
            )
        codes = (
            None
            if verified is None
            else codes_of(verified, source.beside[verified], len(x), switches)
        )
        say(f"Training on {len(x)} rows ...")
        detector = AnomalyDetector(
            backbone.backbone,
            contamination=contamination,
            epochs=epochs,
            random_state=seed,
            progress=progress,
            trainer={"default_root_dir": draft},
        )
        detector.fit(named(learned.encoding, x), verified=codes)
        table = _flags(source.rows, detector.decision_scores_, detector)
        if codes is not None:
            table["verified_anomaly"] = codes
        estimate = detector.rate_
        summary = {
            "data": data.name,
            "task": "detection",
            "rows": len(table),
            "features": x.shape[1],
            "backbone": backbone.value,
            "rate": detector.contamination_,
            "rate_low": None if estimate is None else estimate.low,
            "rate_high": None if estimate is None else estimate.high,
            "flagged": int(table["flagged"].sum()),
            "threshold": detector.threshold_,
            "notes": learned.notes,
            "seconds": round(time.perf_counter() - started, 1),
        }
        settings: dict[str, Any] = {"command": "detect", "data": str(data), "verified": verified}
        settings |= {"backbone": backbone.value, "contamination": contamination}
        settings |= {"drop": list(drop), "keep": list(keep), "epochs": epochs, "seed": seed}
        write_table(ordered(table), draft / "flags.csv")
        write_json(draft / "summary.json", summary, Summary)
        write_json(draft / "settings.json", settings, Settings)
        info = {"verified": verified, "encoding": asdict(learned.encoding)}
        write_json(draft / "run.json", info, DetectedInfo)
        write_detector(draft, detector)
        _picture(draft, detector)
        write_manifest(draft)
        return summary


def score_detected(run: Path, data: Path, *, say: Callable[[str], None]) -> pd.DataFrame:
    """Scores of new rows by the detector of a run, the highest first.

    Args:
        run: A run folder that `detect_file` wrote.
        data: Rows of the same kind as those of the run.
        say: Takes sentences on what is done.

    Raises:
        DataError: The data are of another kind than those of the run.
        FolderError: The run is incomplete or was changed.
    """
    check_files(run, ["run.json"])
    info = read_json(run / "run.json", DetectedInfo)
    detector = load_detector(run)
    if shape_of(info.encoding) != (detector.n_features_in_,):
        raise FolderError(
            f"{run / 'run.json'} is of other data than the detector beside it. Restore it or "
            "detect again."
        )
    beside = [] if info.verified is None else [info.verified]
    source = read(data, label=None, beside=beside, optional=True, labelled=False)
    encoding = info.encoding
    encoded = encoding.encode(source.x)
    for note in [*encoded.notes, *oddities(encoding, source, encoded.x, data=data.name)]:
        say(f"Note: {note}.")
    scores = detector.decision_function(named(encoding, encoded.x))
    return ordered(_flags(source.rows, scores, detector))


def is_detected(run: Path) -> bool:
    """Whether a run is one of `detect_file`."""
    return (run / FILES[0]).exists()


def ordered(table: pd.DataFrame) -> pd.DataFrame:
    """Rows with the highest score first."""
    return table.sort_values("score", ascending=False, kind="stable")


def _flags(rows: np.ndarray, scores: np.ndarray, detector: AnomalyDetector) -> pd.DataFrame:
    return pd.DataFrame({"row": rows, "score": scores, "flagged": scores > detector.threshold_})


def _picture(folder: Path, detector: AnomalyDetector) -> None:
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
