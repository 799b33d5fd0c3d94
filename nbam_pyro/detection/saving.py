"""A detector on disk: JSON and safetensors; nothing in it is executed when it is read."""

from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import safetensors.torch
import torch
from sklearn.utils.validation import check_is_fitted

from nbam_pyro.detection.assignments import Assignment
from nbam_pyro.detection.detector import AnomalyDetector
from nbam_pyro.detection.energies import Backbone
from nbam_pyro.detection.rates import RateEstimate
from nbam_pyro.detection.scaling import Range
from nbam_pyro.errors import StoryError
from nbam_pyro.folders import check_files, new_folder, write_json, write_manifest
from nbam_pyro.inference.description import build, describe
from nbam_pyro.inference.saving import described, fill, tensors_of, versions

__all__ = ["FILES", "load_detector", "save_detector", "write_detector"]

FILES = ("detector.json", "detector.safetensors")
_SCHEMA_VERSION = 2
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
_FITTED = ("contamination_", "threshold_", "n_features_in_", "history_")


def save_detector(
    detector: AnomalyDetector, folder: str | Path, *, overwrite: bool = False
) -> None:
    """Write a fitted detector to a folder of its own, whole or not at all.

    `detector.json` (backbone and assignment by class and arguments, settings, the rate),
    `detector.safetensors` (networks, scores of the training rows) and `manifest.json`
    (checksums). Features are not stored, nor are `random_state` and `trainer`.

    Args:
        detector: which is fitted.
        folder: to write; its parents are made.
        overwrite: replace a folder that was saved to.

    Raises:
        NotFittedError: it is not fitted.
        StoryError: the backbone or the assignment is of a class that cannot be described: one that
            does not keep its arguments as attributes of the same names.
        FolderError: the folder exists and may not be overwritten, or cannot be written.

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
    """The files of a detector, in a folder that exists; the caller writes its manifest."""
    described_ = {
        "schema_version": _SCHEMA_VERSION,
        "backbone": describe(detector.backbone_),
        "assignment": None if detector.assignment is None else describe(detector.assignment),
        "settings": {name: _plain(getattr(detector, name)) for name in _SETTINGS},
        "fitted": {name: getattr(detector, name) for name in _FITTED},
        "names": getattr(detector, "feature_names_in_", np.array([])).tolist(),
        "rate": _rate_as_json(detector.rate_),
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
    }
    tensors = {name: torch.as_tensor(array) for name, array in arrays.items()}
    tensors |= {"ranks": detector.ranks_, "grain": detector.grain_}
    tensors |= tensors_of("backbone", detector.backbone_)
    whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
    (folder / FILES[1]).write_bytes(safetensors.torch.save(whole))
    write_json(folder / FILES[0], described_)


def load_detector(folder: str | Path, *, allow: Collection[str] = ()) -> AnomalyDetector:
    """Read a detector that `save_detector` or `nbam detect` wrote; it scores the same on a CPU.

    Args:
        folder: where it is.
        allow: import paths of classes or packages of your own that may be imported to build the
            backbone or the assignment. Importing runs code: allow what you trust.

    Raises:
        FolderError: a file is missing or was changed, or another version wrote it.
        StoryError: a class needs `allow`, or has other tensors.

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
    with described(folder / FILES[0], schema_version=_SCHEMA_VERSION) as model:
        return _loaded(model, safetensors.torch.load_file(folder / FILES[1]), allow)


def _loaded(
    model: dict[str, Any], tensors: dict[str, torch.Tensor], allow: Collection[str]
) -> AnomalyDetector:
    backbone = build(model["backbone"], allow=allow)
    assignment = None if model["assignment"] is None else build(model["assignment"], allow=allow)
    if not isinstance(backbone, Backbone) or not isinstance(assignment, Assignment | None):
        raise StoryError("The description is of no backbone or of no assignment.")
    fill(backbone, "backbone", tensors)
    # The first argument, of features or channels, and members are what `fit` gives.
    arguments = list(model["backbone"]["arguments"].items())[1:]
    further = {name: build(value, allow=allow) for name, value in arguments if name != "members"}
    detector = AnomalyDetector(
        partial(type(backbone), **further), assignment=assignment, **model["settings"]
    )
    for name in _FITTED:
        setattr(detector, name, model["fitted"][name])
    if model["names"]:
        detector.feature_names_in_ = np.array(model["names"], dtype=object)
    detector.backbone_ = backbone.double().eval()
    scale = (tensors[f"scale.{name}"].numpy() for name in ("centre", "low", "width", "furthest"))
    detector.scale_ = Range(*scale)
    detector.rates_, detector.ranks_ = tensors["rates"].numpy(), tensors["ranks"]
    detector.grain_, detector.usual_ = tensors["grain"], tensors["usual"].numpy()
    detector.rate_ = _rate_from_json(model["rate"])
    detector.decision_scores_ = tensors["scores"].numpy()
    detector.labels_ = (detector.decision_scores_ > detector.threshold_).astype(int)
    return detector


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _rate_as_json(rate: RateEstimate | None) -> dict[str, Any] | None:
    if rate is None:
        return None
    table = None if rate.agreement is None else rate.agreement.reset_index().to_dict("list")
    return {"rate": rate.rate, "low": rate.low, "high": rate.high, "agreement": table}


def _rate_from_json(values: dict[str, Any] | None) -> RateEstimate | None:
    if values is None:
        return None
    table = values["agreement"]
    held = None if table is None else pd.DataFrame(table).set_index("rate")
    return RateEstimate(values["rate"], values["low"], values["high"], held)
