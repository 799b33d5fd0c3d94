"""Saving and loading of detectors as JSON and safetensors. Loading runs no code of the files."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import xarray as xr
from sklearn.utils.validation import check_is_fitted

from nbam_pyro.detection.detector import AnomalyDetector
from nbam_pyro.detection.mixed import MixedDetector
from nbam_pyro.detection.reporting import set_report
from nbam_pyro.detection.saved_backbone import loaded_backbone, mismatched_backbone, saved_backbone
from nbam_pyro.detection.saved_mixture import loaded_mixture, mismatched_mixture, saved_mixture
from nbam_pyro.detection.scaling import Range
from nbam_pyro.detection.schema import Detector, SavedReport
from nbam_pyro.errors import DataError, FolderError
from nbam_pyro.outputs.contamination_report import ContaminationReport
from nbam_pyro.outputs.scores.curve import ScoreCurve
from nbam_pyro.storage import check_files, new_folder, write_json, write_manifest
from nbam_pyro.storage.budget import building
from nbam_pyro.storage.model_file import read_described, rehearsed, versions
from nbam_pyro.storage.tensors import read_tensors, saved_tensor, write_tensors
from nbam_pyro.training.contexts import exclusive

__all__ = ["FILES", "AnyDetector", "load_detector", "save_detector", "write_detector"]

AnyDetector = AnomalyDetector | MixedDetector

FILES = ("detector.json", "detector.safetensors")
_FORMAT_VERSION = 6
_FITTED = ("threshold_", "n_features_in_")
_DRAWS = ("contamination", "population_rate")
_CURVE = ("starts", "responsibility")
# Tensors that may hold infinity: rows that are not scaled have no largest value, and the first step
# of a curve has no lower end.
_UNBOUNDED = ("scale.furthest", "curve.starts")


def save_detector(detector: AnyDetector, folder: str | Path, *, overwrite: bool = False) -> None:
    """Write a fitted detector to a folder, completely or not at all.

    The folder has three files. `detector.json` has the settings, the verdict, and the classes and
    arguments of the backbone and the assignment, or of the kinds of scores. `detector.safetensors`
    has the networks or other arrays, and the scores of the training rows. `manifest.json` has
    checksums. Features, `random_state` and `trainer` are not stored.

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


def write_detector(folder: Path, detector: AnyDetector) -> None:
    """Write the files of a detector without a manifest, which the caller writes.

    Args:
        folder: Folder that exists.
        detector: Fitted detector.
    """
    report = detector.report_
    own, further = (
        saved_mixture(detector) if isinstance(detector, MixedDetector) else saved_backbone(detector)
    )
    described = own | {
        "format_version": _FORMAT_VERSION,
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
        "usual": detector.usual_,
        "responsibility": report.rows["responsibility"].to_numpy(copy=True),
        **{f"draws.{name}": report.posterior[name].to_numpy().copy() for name in _DRAWS},
        **{f"curve.{name}": getattr(report.curve, name) for name in _CURVE},
    }
    tensors = {name: torch.as_tensor(array) for name, array in arrays.items()}
    write_tensors(folder / FILES[1], tensors | further, unbounded=_UNBOUNDED)
    write_json(folder / FILES[0], described, Detector)


def load_detector(folder: str | Path, *, allow: Collection[str] = ()) -> AnyDetector:
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
        if isinstance(detector, MixedDetector) or detector.backbone_.row_dims == 1:
            usual = np.zeros((1, detector.n_features_in_)) + detector.scale_.low
            with suppress(DataError):  # this row is not one of the user's
                detector.decision_function(usual + detector.scale_.width)
    return detector


def _loaded(
    model: Detector, tensors: Mapping[str, torch.Tensor], allow: Collection[str]
) -> AnyDetector:
    load = loaded_mixture if model.kinds else loaded_backbone
    detector = load(model, tensors, allow)
    for name in _FITTED:
        setattr(detector, name, getattr(model.fitted, name))
    if model.names:
        detector.feature_names_in_ = np.array(model.names, dtype=object)
    parts = ("centre", "low", "width", "furthest")
    detector.scale_ = Range(*(saved_tensor(tensors, f"scale.{part}").numpy() for part in parts))
    detector.usual_ = saved_tensor(tensors, "usual").numpy()
    detector.decision_scores_ = saved_tensor(tensors, "scores").numpy()
    set_report(detector, _report(model.report, tensors))
    detector.labels_ = (detector.decision_scores_ > detector.threshold_).astype(int)
    return detector


def _check_shapes(folder: Path, detector: AnyDetector) -> None:
    """Raise an error if the sizes of the parts of a detector do not match."""
    scale, features = detector.scale_, detector.n_features_in_
    names = getattr(detector, "feature_names_in_", None)
    agreed = {
        "usual": detector.usual_.shape == (2,),
        "scores": detector.decision_scores_.ndim == 1,
        "curve": _is_curve(detector.report_.curve),
        "scale": scale.low.shape == scale.width.shape in ((features,), (1,))
        and scale.furthest.shape == ()
        and (scale.width > 0).all(),
        "names": names is None or len(names) == features,
    }
    wrong = [name for name, same in agreed.items() if not same]
    wrong += (
        mismatched_mixture(detector)
        if isinstance(detector, MixedDetector)
        else mismatched_backbone(detector)
    )
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
