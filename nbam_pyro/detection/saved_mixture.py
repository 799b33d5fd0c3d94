"""The parts of a saved detector that averages scores of several kinds."""

from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import Tensor

from nbam_pyro.detection.kinds.base import Kind
from nbam_pyro.detection.mixed import MixedDetector
from nbam_pyro.detection.mixing import Mixing
from nbam_pyro.detection.schema import Detector
from nbam_pyro.errors import StoryError
from nbam_pyro.storage.description import build, describe
from nbam_pyro.storage.model_file import as_description, tensors_in
from nbam_pyro.storage.tensors import saved_tensor

__all__ = ["loaded_mixture", "mismatched_mixture", "saved_mixture"]

_MIXING = ("middle", "unit", "weight")


def saved_mixture(detector: MixedDetector) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return what only this kind of detector saves: entries of detector.json, and tensors.

    Args:
        detector: Fitted detector.
    """
    described = {
        "backbone": None,
        "assignment": None,
        "kinds": [describe(kind) for kind in detector.kinds_],
        "settings": {"contamination": detector.contamination},
        "history": [],
    }
    arrays = {f"mixing.{name}": getattr(detector.mixing_, name) for name in _MIXING}
    for number, learned in enumerate(detector.learned_):
        arrays |= {f"kinds.{number}.{name}": array for name, array in learned.items()}
    return described, {name: torch.as_tensor(array) for name, array in arrays.items()}


def loaded_mixture(
    model: Detector, tensors: Mapping[str, Tensor], allow: Collection[str]
) -> MixedDetector:
    """Return a detector without the parts that all detectors save.

    Args:
        model: Content of detector.json.
        tensors: Tensors by name.
        allow: Import paths of classes that may be imported.

    Raises:
        StoryError: A class is wrong or not in `allow`.
    """
    kinds = tuple(build(as_description(kind), allow=allow) for kind in model.kinds)
    wrong = [type(kind).__name__ for kind in kinds if not isinstance(kind, Kind)]
    if wrong:
        raise StoryError(
            f"detector.json has a wrong class: {wrong[0]} must be a Kind. Restore the file or fit "
            "again."
        )
    detector = MixedDetector(kinds, contamination=model.settings.contamination)
    detector.kinds_ = kinds
    detector.learned_ = [
        {name: tensor.numpy() for name, tensor in tensors_in(tensors, f"kinds.{number}").items()}
        for number in range(len(kinds))
    ]
    detector.mixing_ = Mixing(
        **{name: saved_tensor(tensors, f"mixing.{name}").numpy() for name in _MIXING}
    )
    return detector


def mismatched_mixture(detector: MixedDetector) -> list[str]:
    """Return the names of parts whose sizes do not match the kinds.

    Args:
        detector: Loaded detector.
    """
    count = (len(detector.kinds_),)
    return [name for name in _MIXING if getattr(detector.mixing_, name).shape != count]
