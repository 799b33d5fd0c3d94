"""Saving and loading of detectors as JSON and safetensors. Loading runs no code of the files."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr
from sklearn.utils.validation import check_is_fitted

from nbam_pyro.detection.assignments import Assignment
from nbam_pyro.detection.backbones.base import Backbone
from nbam_pyro.detection.detector import AnomalyDetector
from nbam_pyro.detection.rates import rate_of
from nbam_pyro.detection.reporting import set_report
from nbam_pyro.detection.scaling import Range
from nbam_pyro.detection.schema import Detector, SavedReport
from nbam_pyro.errors import DataError, FolderError, StoryError
from nbam_pyro.outputs.contamination_report import ContaminationReport
from nbam_pyro.outputs.scores.curve import ScoreCurve
from nbam_pyro.storage import check_files, new_folder, write_json, write_manifest
from nbam_pyro.storage.budget import building
from nbam_pyro.storage.description import build, describe
from nbam_pyro.storage.model_file import (
    as_description,
    fill,
    read_described,
    rehearsed,
    tensors_of,
    versions,
)
from nbam_pyro.storage.tensors import read_tensors, saved_tensor, write_tensors
from nbam_pyro.training.contexts import exclusive

__all__ = ["FILES", "load_detector", "save_detector", "write_detector"]

FILES = ("detector.json", "detector.safetensors")
_FORMAT_VERSION = 5
_SETTINGS = (
    "contamination",
    "members",
    "epochs",
    "warm_up",
    "lr",
    "weight_decay",
    "batch_size",
    "scale",
)
_FITTED = ("threshold_", "n_features_in_", "history_")
_DRAWS = ("contamination", "population_rate")
_CURVE = ("starts", "responsibility")
# Tensors that may hold infinity: rows that are not scaled have no largest value, and the first step
# of a curve has no lower end.
_UNBOUNDED = ("scale.furthest", "curve.starts")


def save_detector(
    detector: AnomalyDetector, folder: str | Path, *, overwrite: bool = False
) -> None:
    """Write a fitted detector to a folder, completely or not at all.

    The folder has three files. `detector.json` has the settings, the verdict, and the classes and
    arguments of the backbone and the assignment. `detector.safetensors` has the networks and the
    scores of the training rows. `manifest.json` has checksums. Features, `random_state` and
    `trainer` are not stored.

    Args:
        detector: Fitted detector.
        folder: Folder to write. Its parents are made if they do not exist.
        overwrite: True to replace a folder that an earlier call wrote.

    Raises:
        NotFittedError: The detector is not fitted.
        StoryError: The class of the backbone or of the assignment does not keep its arguments as
            attributes of the same names.
        FolderError: The folder exists and may not be overwritten, or cannot be written.

    Example:
        >>> import tempfile
        >>> from nbam_pyro.detection import AutoEncoder
        >>> x = np.random.default_rng(0).normal(size=(50, 4))
        >>> detector = AnomalyDetector(AutoEncoder, contamination=0.1, epochs=2).fit(x)
        >>> with tempfile.TemporaryDirectory() as parent:
        ...     save_detector(detector, f"{parent}/detector")
        ...     sorted(path.name for path in Path(parent, "detector").iterdir())
        ['detector.json', 'detector.safetensors', 'manifest.json']
    """
    check_is_fitted(detector)
    with new_folder(Path(folder), overwrite=overwrite) as draft:
        write_detector(draft, detector)
        write_manifest(draft)


def write_detector(folder: Path, detector: AnomalyDetector) -> None:
    """Write the files of a detector without a manifest, which the caller writes.

    Args:
        folder: Folder that exists.
        detector: Fitted detector.
    """
    report = detector.report_
    described = {
        "format_version": _FORMAT_VERSION,
        "backbone": describe(detector.backbone_),
        "assignment": None if detector.assignment is None else describe(detector.assignment),
        "settings": {name: _plain(getattr(detector, name)) for name in _SETTINGS},
        "fitted": {name: getattr(detector, name) for name in _FITTED},
        "names": getattr(detector, "feature_names_in_", np.array([])).tolist(),
        "report": {
            "verdict": asdict(report.verdict),
            "note": report.note,
            "probability": report.probability,
        },
        "versions": versions(),
    }
    arrays = {
        "scale.centre": detector.scale_.centre,
        "scale.low": detector.scale_.low,
        "scale.width": detector.scale_.width,
        "scale.furthest": detector.scale_.furthest,
        "scores": detector.decision_scores_,
        "rates": detector.rates_,
        "usual": detector.usual_,
        "responsibility": report.rows["responsibility"].to_numpy(copy=True),
        **{f"draws.{name}": report.posterior[name].to_numpy().copy() for name in _DRAWS},
        **{f"curve.{name}": getattr(report.curve, name) for name in _CURVE},
    }
    tensors = {name: torch.as_tensor(array) for name, array in arrays.items()}
    tensors |= {"ranks": detector.ranks_, "ranking": detector.ranking_, "grain": detector.grain_}
    tensors |= tensors_of("backbone", detector.backbone_)
    write_tensors(folder / FILES[1], tensors, unbounded=_UNBOUNDED)
    write_json(folder / FILES[0], described, Detector)


def load_detector(folder: str | Path, *, allow: Collection[str] = ()) -> AnomalyDetector:
    """Read a detector that `save_detector` or `nbam detect` wrote.

    On a CPU the loaded detector gives the same scores as the saved one.

    Args:
        folder: Folder of the detector.
        allow: Import paths of classes or packages of your own that may be imported to build the
            backbone or the assignment. Importing runs code, so allow only what you trust.

    Raises:
        FolderError: A file is missing or was changed, or another version wrote it.
        StoryError: A class is not in `allow`, or its tensors do not match the saved ones.

    Example:
        >>> import tempfile
        >>> from nbam_pyro.detection import AutoEncoder
        >>> x = np.random.default_rng(0).normal(size=(50, 4))
        >>> detector = AnomalyDetector(AutoEncoder, contamination=0.1, epochs=2).fit(x)
        >>> with tempfile.TemporaryDirectory() as parent:
        ...     save_detector(detector, f"{parent}/detector")
        ...     again = load_detector(f"{parent}/detector")
        >>> bool((again.decision_function(x) == detector.decision_function(x)).all())
        True
    """
    folder = Path(folder)
    check_files(folder, FILES)
    model = read_described(folder / FILES[0], Detector, format_version=_FORMAT_VERSION)
    tensors = read_tensors(folder / FILES[1], unbounded=_UNBOUNDED)
    with exclusive(), rehearsed(folder):
        with building(tensors):
            detector = _loaded(model, tensors, allow)
        _check_shapes(folder, detector)
        if detector.backbone_.row_dims == 1:
            usual = np.zeros((1, detector.n_features_in_)) + detector.scale_.low
            with suppress(DataError):  # this row is not one of the user's
                detector.decision_function(usual + detector.scale_.width)
    return detector


def _loaded(
    model: Detector, tensors: Mapping[str, torch.Tensor], allow: Collection[str]
) -> AnomalyDetector:
    described = as_description(model.backbone)
    backbone = build(described, allow=allow)
    assignment = (
        None if model.assignment is None else build(as_description(model.assignment), allow=allow)
    )
    if not isinstance(backbone, Backbone) or not isinstance(assignment, Assignment | None):
        raise StoryError(
            f"detector.json has a wrong class: {type(backbone).__name__} must be a Backbone and "
            f"{type(assignment).__name__} an Assignment. Restore the file or fit again."
        )
    fill(backbone, "backbone", tensors)
    # `fit` gives the first argument, the number of features or channels, and `members`.
    arguments = list(described["arguments"].items())[1:]
    further = {name: build(value, allow=allow) for name, value in arguments if name != "members"}
    detector = AnomalyDetector(
        partial(type(backbone), **further),
        assignment=assignment,
        **model.settings.model_dump(),
    )
    for name in _FITTED:
        setattr(detector, name, getattr(model.fitted, name))
    if model.names:
        detector.feature_names_in_ = np.array(model.names, dtype=object)
    detector.backbone_ = backbone.double().eval()
    detector._rate = rate_of(detector.contamination, detector._assignment())
    parts = ("centre", "low", "width", "furthest")
    detector.scale_ = Range(*(saved_tensor(tensors, f"scale.{part}").numpy() for part in parts))
    detector.rates_ = saved_tensor(tensors, "rates").numpy()
    detector.ranks_ = saved_tensor(tensors, "ranks")
    detector.grain_ = saved_tensor(tensors, "grain")
    detector.usual_ = saved_tensor(tensors, "usual").numpy()
    detector.ranking_ = saved_tensor(tensors, "ranking")
    detector.decision_scores_ = saved_tensor(tensors, "scores").numpy()
    set_report(detector, _report(model.report, tensors))
    detector.labels_ = (detector.decision_scores_ > detector.threshold_).astype(int)
    return detector


def _check_shapes(folder: Path, detector: AnomalyDetector) -> None:
    """Raise an error if the sizes of the parts of a detector do not match."""
    scale, features = detector.scale_, detector.n_features_in_
    names = getattr(detector, "feature_names_in_", None)
    members = detector.backbone_.members
    agreed = {
        "rates": detector.rates_.shape == (members,),
        "grain": detector.grain_.shape == (members, 1),
        "usual": detector.usual_.shape == (2,),
        "scores": detector.decision_scores_.ndim == 1,
        "ranks": detector.ranks_.ndim == 2 and len(detector.ranks_) == len(detector.ranking_),
        "curve": _is_curve(detector.report_.curve),
        "ranking": detector.ranking_.ndim == 1
        and bool(((detector.ranking_ >= 0) & (detector.ranking_ < members)).all()),
        "scale": scale.low.shape == scale.width.shape in ((features,), (1,))
        and scale.furthest.shape == ()
        and (scale.width > 0).all(),
        "names": names is None or len(names) == features,
    }
    wrong = [name for name, same in agreed.items() if not same]
    if wrong:
        raise FolderError(
            f"{folder} has {wrong[0]} that do not match the other parts of the detector. Restore "
            "its files or fit again."
        )


def _is_curve(curve: ScoreCurve | None) -> bool:
    return (
        curve is not None
        and curve.starts.ndim == 1
        and curve.starts.shape == curve.responsibility.shape
        and bool(np.isneginf(curve.starts[:1]).all() and len(curve.starts))
    )


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _report(saved: SavedReport, tensors: Mapping[str, torch.Tensor]) -> ContaminationReport:
    columns = {
        "score": saved_tensor(tensors, "scores").numpy(),
        "responsibility": saved_tensor(tensors, "responsibility").numpy(),
    }
    draws = {name: ("draw", saved_tensor(tensors, f"draws.{name}").numpy()) for name in _DRAWS}
    return ContaminationReport(
        kind="scores",
        rows=pd.DataFrame(columns),
        posterior=xr.Dataset(draws),
        verdict=saved.verdict,
        note=saved.note,
        probability=saved.probability,
        curve=ScoreCurve(**{n: saved_tensor(tensors, f"curve.{n}").numpy() for n in _CURVE}),
    )
