"""The work of `nbam detect --nuisance`: anomalies in features that do not contain a nuisance."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from nbam_pyro.checks.column import Column
from nbam_pyro.cli.files import read
from nbam_pyro.cli.runs.detecting import flagged, ordered, picture
from nbam_pyro.cli.runs.features import learn, named
from nbam_pyro.cli.runs.frozen import FeatureOptions, with_features
from nbam_pyro.cli.runs.schema import DetectedInfo, Settings, Summary
from nbam_pyro.cli.runs.scores import share_entries
from nbam_pyro.cli.runs.tables import write_table
from nbam_pyro.cli.runs.verified_rows import verified_codes, verified_column
from nbam_pyro.detection.representations import Representation
from nbam_pyro.detection.saved_rows import write_rows
from nbam_pyro.errors import DataError
from nbam_pyro.storage import new_folder, write_json, write_manifest

__all__ = ["Told", "check_nuisance", "detect_nuisance"]

_EPOCHS = 30


@dataclass(frozen=True, kw_only=True)
class Told:
    """Names of the columns or arrays that are not features.

    Attributes:
        nuisance: Column of the nuisance of each row.
        label: Column of the class of each row.
    """

    nuisance: str
    label: str


def check_nuisance(
    nuisance: str | None, label: str | None, *, others: Mapping[str, object]
) -> Told | None:
    """Return the columns of `--nuisance` and `--class`, or None if neither is given.

    Args:
        nuisance: Value of `--nuisance`.
        label: Value of `--class`.
        others: Values of options that do not go with these two, by name; None if not given.

    Raises:
        DataError: Only one of the two is given, both name the same column, or another option does
            not go with them.

    Example:
        >>> check_nuisance("colour", "kind", others={})
        Told(nuisance='colour', label='kind')
    """
    if nuisance is None and label is None:
        return None
    if nuisance is None or label is None:
        raise DataError("--nuisance and --class belong together. Give both columns, or neither.")
    if nuisance == label:
        raise DataError(f"--nuisance and --class are both '{label}'. Give two different columns.")
    for name, value in others.items():
        if value is not None:
            raise DataError(
                f"--nuisance trains a network of its own and does not go with {name}. Leave one of "
                "them out."
            )
    return Told(nuisance=nuisance, label=label)


def detect_nuisance(
    data: Path,
    out: Path,
    *,
    told: Told,
    verified: str | None = None,
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
    """Find anomalies with a `Representation` and write a run folder.

    Args:
        data: CSV or Parquet file, or NPZ file with an array X.
        out: Run folder to write. It is written completely or not at all.
        told: Columns of the nuisance and of the class, which are not used as features.
        verified: Name of the column that says which rows somebody has verified; None if no row is
            verified.
        contamination: Share of anomalies, up to 0.5. With "auto", it is estimated.
        features: Network that computes features of images. Images need one.
        epochs: Number of training epochs. None for the default.
        drop: Columns not to use as features.
        keep: Columns to use as features although they look like identifiers.
        overwrite: True to replace an existing run folder.
        seed: Seed for weights, batches and held-out rows.
        progress: True to show progress bars.
        say: Function that is called with each message about the progress.

    Returns:
        The content of summary.json.

    Raises:
        DataError: The data cannot be used. The message says why.
        FolderError: The folder exists and `overwrite` is False, or it cannot be written.
    """
    with new_folder(out, overwrite=overwrite) as draft:
        started = time.perf_counter()
        column = verified_column(verified)
        beside = [told.nuisance] if column is None else [told.nuisance, column]
        source = read(data, label=told.label, beside=beside)
        source = with_features(source, features, data=data.name, progress=progress, say=say)
        learned = learn(source, data=data.name, drop=drop, keep=keep)
        if learned.x.ndim != 2:
            raise DataError(
                f"'{data}' has images, but --nuisance needs a table or an array (N, D) of "
                "features. Add --features with a pretrained network."
            )
        codes = verified_codes(source, verified)
        say(f"Training on {len(learned.x)} rows ...")
        detector = Representation(
            contamination=contamination,
            epochs=_EPOCHS if epochs is None else epochs,
            random_state=seed,
            progress=progress,
            trainer={"default_root_dir": draft},
        )
        detector.fit(
            named(learned.encoding, learned.x),
            _present(source.y, told.label),
            nuisance=_present(source.beside[told.nuisance], told.nuisance),
            verified=codes,
        )
        table = flagged(source.rows, detector.decision_scores_, detector)
        table["responsibility"] = detector.report_.rows["responsibility"].to_numpy()
        if codes is not None:
            table["verified_anomaly"] = codes
        notes = [*learned.notes, *_notes(detector)]
        summary = {
            "data": data.name,
            "task": "detection",
            "rows": len(table),
            "features": learned.x.shape[1],
            "backbone": None,
            "nuisance": told.nuisance,
            "class": told.label,
            **share_entries(detector.report_),
            "flagged": int(table["flagged"].sum()),
            "threshold": detector.threshold_,
            "notes": notes,
            "seconds": round(time.perf_counter() - started, 1),
        }
        settings: dict[str, Any] = {"command": "detect", "data": str(data), "verified": verified}
        settings |= {"features": None if features is None else features.to_json()}
        settings |= {"nuisance": told.nuisance, "class": told.label}
        settings |= {"backbone": None, "contamination": contamination}
        settings |= {"drop": list(drop), "keep": list(keep), "epochs": epochs, "seed": seed}
        write_table(ordered(table), draft / "flags.csv")
        write_json(draft / "summary.json", summary, Summary)
        write_json(draft / "settings.json", settings, Settings)
        info = {
            "verified": column,
            "encoding": asdict(learned.encoding),
            "ignored": [told.nuisance, told.label],
        }
        write_json(draft / "run.json", info, DetectedInfo)
        write_rows(draft, detector)
        picture(draft, detector)
        write_manifest(draft)
        return summary


def _present(values: np.ndarray, name: str) -> np.ndarray:
    """Return the values of a column that has a value in every row."""
    column = Column.of(values)
    if not column.present.all():
        row = int((~column.present).argmax())
        raise DataError(
            f"Column '{name}' has no value in row {row}. Leave out rows without a class or "
            "nuisance."
        )
    return column.values


def _notes(detector: Representation) -> list[str]:
    """Return what the fit says about weights, erasure and the probe, without full stops."""
    found = [detector.weights_, detector.learned_.erased, detector.probe_]
    return [str(one).removesuffix(".") for one in found if one is not None]
