"""The files of a saved detector of rows: all kinds except `PatchDetector`."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nbam_pyro.detection.detector import AnomalyDetector
from nbam_pyro.detection.file_names import ROWS
from nbam_pyro.detection.mixed import MixedDetector
from nbam_pyro.detection.reporting import set_report
from nbam_pyro.detection.representations import Representation
from nbam_pyro.detection.saved_backbone import loaded_backbone, mismatched_backbone, saved_backbone
from nbam_pyro.detection.saved_mixture import loaded_mixture, mismatched_mixture, saved_mixture
from nbam_pyro.detection.saved_report import (
    UNBOUNDED,
    is_curve,
    loaded_report,
    report_arrays,
    report_entries,
)
from nbam_pyro.detection.saved_representation import (
    loaded_representation,
    mismatched_representation,
    saved_representation,
)
from nbam_pyro.detection.scaling import Range
from nbam_pyro.detection.schema import Detector
from nbam_pyro.errors import DataError, FolderError
from nbam_pyro.outputs.contamination_report import ContaminationReport
from nbam_pyro.storage import write_json
from nbam_pyro.storage.budget import building
from nbam_pyro.storage.model_file import read_described, rehearsed, versions
from nbam_pyro.storage.tensors import read_tensors, saved_tensor, write_tensors
from nbam_pyro.training.contexts import exclusive

__all__ = ["RowDetector", "read_rows", "read_rows_report", "write_rows"]

RowDetector = AnomalyDetector | MixedDetector | Representation

_FORMAT_VERSION = 6
_FITTED = ("threshold_", "n_features_in_")
# Tensors that may hold infinity: rows that are not scaled have no largest value, and the weight of
# a single row has no standard error.
_UNBOUNDED = ("scale.furthest", "balance.se", *UNBOUNDED)


def write_rows(folder: Path, detector: RowDetector) -> None:
    """Write the files of a detector without a manifest, which the caller writes.

    Args:
        folder: Folder that exists.
        detector: Fitted detector.

    Raises:
        StoryError: A class does not keep its arguments as attributes of the same names.
    """
    report = detector.report_
    own, further = _saved(detector)
    described = own | {
        "format_version": _FORMAT_VERSION,
        "fitted": {name: getattr(detector, name) for name in _FITTED},
        "names": getattr(detector, "feature_names_in_", np.array([])).tolist(),
        "report": report_entries(report),
        "versions": versions(),
    }
    arrays = {
        "scale.centre": detector.scale_.centre,
        "scale.low": detector.scale_.low,
        "scale.width": detector.scale_.width,
        "scale.furthest": detector.scale_.furthest,
        "scores": detector.decision_scores_,
        "usual": detector.usual_,
        **report_arrays(report),
    }
    tensors = {name: torch.as_tensor(array) for name, array in arrays.items()}
    write_tensors(folder / ROWS[1], tensors | further, unbounded=_UNBOUNDED)
    write_json(folder / ROWS[0], described, Detector)


def read_rows(folder: Path, allow: Collection[str]) -> RowDetector:
    """Read the files of a detector. The caller has checked the manifest.

    Args:
        folder: Folder of the detector.
        allow: Import paths of classes that may be imported.

    Raises:
        FolderError: A file is missing or was changed, or another version wrote it.
        StoryError: A class is not in `allow`, or its tensors do not match the saved ones.
    """
    model = read_described(folder / ROWS[0], Detector, format_version=_FORMAT_VERSION)
    tensors = read_tensors(folder / ROWS[1], unbounded=_UNBOUNDED)
    with exclusive(), rehearsed(folder):
        with building(tensors):
            detector = _loaded(model, tensors, allow)
        _check_shapes(folder, detector)
        if _takes_tables(detector):
            usual = np.zeros((1, detector.n_features_in_)) + detector.scale_.low
            with suppress(DataError):  # this row is not one of the user's
                detector.decision_function(usual + detector.scale_.width)
    return detector


def read_rows_report(folder: Path) -> ContaminationReport:
    """Read only the report on the training rows. The caller has checked the manifest.

    Args:
        folder: Folder of the detector.

    Raises:
        FolderError: A file is missing or was changed, or another version wrote it.
    """
    model = read_described(folder / ROWS[0], Detector, format_version=_FORMAT_VERSION)
    tensors = read_tensors(folder / ROWS[1], unbounded=_UNBOUNDED)
    scores = saved_tensor(tensors, "scores").numpy()
    return loaded_report(model.report, tensors, scores=scores)


def _saved(detector: RowDetector) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    match detector:
        case MixedDetector():
            return saved_mixture(detector)
        case Representation():
            return saved_representation(detector)
        case AnomalyDetector():
            return saved_backbone(detector)


def _takes_tables(detector: RowDetector) -> bool:
    match detector:
        case MixedDetector():
            return True
        case Representation():
            return bool(np.isfinite(detector.scale_.furthest))  # images are not scaled
        case AnomalyDetector():
            return detector.backbone_.row_dims == 1


def _loaded(
    model: Detector, tensors: Mapping[str, torch.Tensor], allow: Collection[str]
) -> RowDetector:
    detector: RowDetector
    if model.representation is not None:
        detector = loaded_representation(model, tensors, allow)
    elif model.kinds:
        detector = loaded_mixture(model, tensors, allow)
    else:
        detector = loaded_backbone(model, tensors, allow)
    for name in _FITTED:
        setattr(detector, name, getattr(model.fitted, name))
    if model.names:
        detector.feature_names_in_ = np.array(model.names, dtype=object)
    parts = ("centre", "low", "width", "furthest")
    detector.scale_ = Range(*(saved_tensor(tensors, f"scale.{part}").numpy() for part in parts))
    detector.usual_ = saved_tensor(tensors, "usual").numpy()
    detector.decision_scores_ = saved_tensor(tensors, "scores").numpy()
    set_report(detector, loaded_report(model.report, tensors, scores=detector.decision_scores_))
    detector.labels_ = (detector.decision_scores_ > detector.threshold_).astype(int)
    return detector


def _check_shapes(folder: Path, detector: RowDetector) -> None:
    """Raise an error if the sizes of the parts of a detector do not match."""
    scale, features = detector.scale_, detector.n_features_in_
    names = getattr(detector, "feature_names_in_", None)
    agreed = {
        "usual": detector.usual_.shape == (2,),
        "scores": detector.decision_scores_.ndim == 1,
        "curve": is_curve(detector.report_.curve),
        "scale": scale.low.shape == scale.width.shape in ((features,), (1,))
        and scale.furthest.shape == ()
        and (scale.width > 0).all(),
        "names": names is None or len(names) == features,
    }
    wrong = [name for name, same in agreed.items() if not same]
    match detector:
        case MixedDetector():
            wrong += mismatched_mixture(detector)
        case Representation():
            wrong += mismatched_representation(detector)
        case AnomalyDetector():
            wrong += mismatched_backbone(detector)
    if wrong:
        raise FolderError(
            f"{folder} has {wrong[0]} that do not match the other parts of the detector. Restore "
            "its files or fit again."
        )
