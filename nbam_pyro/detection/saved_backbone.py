"""The parts of a saved detector that is a trained backbone."""

from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from nbam_pyro.detection.assignments import Assignment
from nbam_pyro.detection.backbones.base import Backbone
from nbam_pyro.detection.detector import AnomalyDetector
from nbam_pyro.detection.rates import rate_of
from nbam_pyro.detection.schema import Detector, Settings, plain
from nbam_pyro.errors import StoryError
from nbam_pyro.storage.description import build, describe
from nbam_pyro.storage.model_file import as_description, fill, tensors_of
from nbam_pyro.storage.tensors import saved_tensor

__all__ = ["loaded_backbone", "mismatched_backbone", "saved_backbone"]

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


def saved_backbone(detector: AnomalyDetector) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return what only this kind of detector saves: entries of detector.json, and tensors.

    Args:
        detector: Fitted detector.
    """
    described = {
        "backbone": describe(detector.backbone_),
        "assignment": None if detector.assignment is None else describe(detector.assignment),
        "kinds": [],
        "settings": {name: plain(getattr(detector, name)) for name in _SETTINGS},
        "history": detector.history_,
    }
    tensors = {
        "rates": torch.as_tensor(detector.rates_),
        "ranks": detector.ranks_,
        "ranking": detector.ranking_,
        "grain": detector.grain_,
    }
    return described, tensors | tensors_of("backbone", detector.backbone_)


def loaded_backbone(
    model: Detector, tensors: Mapping[str, Tensor], allow: Collection[str]
) -> AnomalyDetector:
    """Return a detector without the parts that all detectors save.

    Args:
        model: Content of detector.json.
        tensors: Tensors by name.
        allow: Import paths of classes that may be imported.

    Raises:
        StoryError: A class is wrong or not in `allow`, or its tensors do not match the saved ones.
    """
    if model.backbone is None or not isinstance(model.settings, Settings):
        raise StoryError("detector.json has no backbone. Restore the file or fit again.")
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
    detector.history_ = model.history
    detector.backbone_ = backbone.double().eval()
    detector._rate = rate_of(detector.contamination, detector._assignment())
    detector.rates_ = saved_tensor(tensors, "rates").numpy()
    detector.ranks_ = saved_tensor(tensors, "ranks")
    detector.grain_ = saved_tensor(tensors, "grain")
    detector.ranking_ = saved_tensor(tensors, "ranking")
    return detector


def mismatched_backbone(detector: AnomalyDetector) -> list[str]:
    """Return the names of parts whose sizes do not match the backbone.

    Args:
        detector: Loaded detector.
    """
    members = detector.backbone_.members
    agreed = {
        "rates": detector.rates_.shape == (members,),
        "grain": detector.grain_.shape == (members, 1),
        "ranks": detector.ranks_.ndim == 2 and len(detector.ranks_) == len(detector.ranking_),
        "ranking": detector.ranking_.ndim == 1
        and bool(((detector.ranking_ >= 0) & (detector.ranking_ < members)).all()),
    }
    return [name for name, same in agreed.items() if not same]
