"""The files of a saved `PatchDetector`."""

from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
import torch
from sklearn.base import clone
from torch import Tensor

from nbam_pyro.detection.cells import NearCells, Whitening
from nbam_pyro.detection.file_names import PATCHES, ROWS
from nbam_pyro.detection.patches import PatchDetector
from nbam_pyro.detection.reporting import set_report
from nbam_pyro.detection.saved_report import (
    UNBOUNDED,
    is_curve,
    loaded_report,
    report_arrays,
    report_entries,
)
from nbam_pyro.detection.saved_rows import RowDetector, read_rows, write_rows
from nbam_pyro.detection.schema import Patches, plain
from nbam_pyro.errors import FolderError, StoryError
from nbam_pyro.outputs.contamination_report import ContaminationReport
from nbam_pyro.storage import write_json
from nbam_pyro.storage.model_file import read_described, rehearsed, versions
from nbam_pyro.storage.tensors import read_tensors, saved_tensor, write_tensors
from nbam_pyro.training.contexts import exclusive

__all__ = ["files_of", "read_patches", "read_patches_report", "write_patches"]

# Folder of a detector of cells that has files of its own.
_CELLS = "cells"
_FORMAT_VERSION = 1
_SETTINGS = ("neighbourhood", "components", "cells", "contamination")


def files_of(folder: Path) -> list[str]:
    """Return the names of the files that a folder with a saved `PatchDetector` must have.

    Args:
        folder: Folder of the detector.
    """
    inner = [f"{_CELLS}/{name}" for name in ROWS] if (folder / _CELLS).exists() else []
    return [*PATCHES, *inner]


def write_patches(folder: Path, detector: PatchDetector) -> None:
    """Write the files of a detector without a manifest, which the caller writes.

    Args:
        folder: Folder that exists.
        detector: Fitted detector.

    Raises:
        StoryError: The detector of cells cannot be saved.
    """
    inner = detector.detector_
    if not isinstance(inner, NearCells | RowDetector):
        raise StoryError(
            f"This PatchDetector compares places by a {type(inner).__name__}, which cannot be "
            "saved. Use an AnomalyDetector or a MixedDetector, or the default, None."
        )
    report = detector.report_
    described = {
        "format_version": _FORMAT_VERSION,
        "settings": {name: plain(getattr(detector, name)) for name in _SETTINGS},
        "threshold_": detector.threshold_,
        "nearest": inner.nearest_ if isinstance(inner, NearCells) else None,
        "report": report_entries(report),
        "versions": versions(),
    }
    arrays = {
        "whitening.centre": detector.whitening_.centre,
        "whitening.matrix": detector.whitening_.matrix,
        "place": detector.place_,
        "spread": detector.spread_,
        "maps": detector.maps_,
        **report_arrays(report),
        **({"cells": inner.cells_} if isinstance(inner, NearCells) else {}),
    }
    tensors = {name: torch.as_tensor(array) for name, array in arrays.items()}
    write_tensors(folder / PATCHES[1], tensors, unbounded=UNBOUNDED)
    write_json(folder / PATCHES[0], described, Patches)
    if not isinstance(inner, NearCells):
        (folder / _CELLS).mkdir()
        write_rows(folder / _CELLS, inner)


def read_patches(folder: Path, allow: Collection[str]) -> PatchDetector:
    """Read the files of a detector. The caller has checked the manifest.

    Args:
        folder: Folder of the detector.
        allow: Import paths of classes that may be imported for a detector of cells.

    Raises:
        FolderError: A file is missing or was changed, or another version wrote it.
        StoryError: A class is not in `allow`, or its tensors do not match the saved ones.
    """
    model = read_described(folder / PATCHES[0], Patches, format_version=_FORMAT_VERSION)
    tensors = read_tensors(folder / PATCHES[1], unbounded=UNBOUNDED)
    inner = None if model.nearest is not None else read_rows(folder / _CELLS, allow)
    with exclusive(), rehearsed(folder):
        detector = _loaded(model, tensors, inner)
        _check_shapes(folder, detector)
        usual = detector.whitening_(detector.whitening_.centre[None])
        detector.detector_.decision_function(usual)
    return detector


def read_patches_report(folder: Path) -> ContaminationReport:
    """Read only the report on the training images. The caller has checked the manifest.

    Args:
        folder: Folder of the detector.

    Raises:
        FolderError: A file is missing or was changed, or another version wrote it.
    """
    model = read_described(folder / PATCHES[0], Patches, format_version=_FORMAT_VERSION)
    tensors = read_tensors(folder / PATCHES[1], unbounded=UNBOUNDED)
    scores = saved_tensor(tensors, "maps").numpy().max((1, 2))
    return loaded_report(model.report, tensors, scores=scores)


def _loaded(
    model: Patches, tensors: Mapping[str, Tensor], inner: RowDetector | None
) -> PatchDetector:
    def array(name: str) -> np.ndarray:
        return saved_tensor(tensors, name).numpy()

    detector = PatchDetector(None if inner is None else clone(inner), **model.settings.model_dump())
    if model.nearest is None:
        detector.detector_ = inner
    else:
        detector.detector_ = NearCells.among(array("cells"), nearest=model.nearest)
    detector.whitening_ = Whitening(
        centre=array("whitening.centre"), matrix=array("whitening.matrix")
    )
    detector.place_, detector.spread_ = array("place"), array("spread")
    detector.grid_shape_ = (*detector.place_.shape, len(detector.whitening_.centre))
    detector.maps_ = array("maps")
    detector.decision_scores_ = detector.maps_.max((1, 2))
    detector.threshold_ = model.threshold_
    detector.labels_ = (detector.decision_scores_ > detector.threshold_).astype(int)
    report = loaded_report(model.report, tensors, scores=detector.decision_scores_)
    set_report(detector, report)
    return detector


def _check_shapes(folder: Path, detector: PatchDetector) -> None:
    """Raise an error if the sizes of the parts of a detector do not match."""
    whitening, place, inner = detector.whitening_, detector.place_, detector.detector_
    width = inner.cells_.shape[1] if isinstance(inner, NearCells) else inner.n_features_in_
    agreed = {
        "whitening": whitening.centre.ndim == 1
        and whitening.matrix.shape == (len(whitening.centre), width),
        "place": place.ndim == 2 and place.size > 0,
        "spread": detector.spread_.shape == place.shape and bool((detector.spread_ > 0).all()),
        "maps": detector.maps_.shape[1:] == place.shape,
        "neighbourhood": detector.neighbourhood % 2 == 1,
        "curve": is_curve(detector.report_.curve),
    }
    wrong = [name for name, same in agreed.items() if not same]
    if wrong:
        raise FolderError(
            f"{folder} has {wrong[0]} that do not match the other parts of the detector. Restore "
            "its files or fit again."
        )
