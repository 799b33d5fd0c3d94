"""The content of detector.json and patches.json, the files that describe saved detectors."""

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from nbam_pyro.outputs.verdict import Verdict
from nbam_pyro.storage import Count, Finite, Label, Probability, Saved
from nbam_pyro.storage.description import Module

__all__ = [
    "Detector",
    "Patches",
    "RepresentationSettings",
    "SavedErased",
    "SavedReport",
    "SavedRepresentation",
    "SavedWeights",
    "Settings",
    "plain",
]

Share = Annotated[float, Field(ge=0, le=0.5)]
Positive = Annotated[float, Field(gt=0, lt=1e300)]
Many = Annotated[int, Field(ge=1, lt=2**53)]


class Settings(Saved):
    """The settings of an `AnomalyDetector` that are saved."""

    contamination: Share | Literal["auto"]
    members: Many
    epochs: Many
    warm_up: Annotated[int, Field(ge=0, lt=2**53)]
    lr: Positive
    weight_decay: Annotated[float, Field(ge=0, lt=1e300)]
    batch_size: Many
    scale: Literal["range"] | None


class MixedSettings(Saved):
    """The settings of a `MixedDetector` that are saved, except its kinds."""

    contamination: Share | Literal["auto"]


class RepresentationSettings(Saved):
    """The settings of a `Representation` that are saved, except its parts."""

    weighted: bool
    wrong_labels: bool
    score: Literal["mahalanobis", "max_logit", "density"]
    contamination: Share | Literal["auto"]
    clip: Share
    epochs: Many
    lr: Positive
    weight_decay: Annotated[float, Field(ge=0, lt=1e300)]
    batch_size: Many
    held_out: Annotated[float, Field(gt=0, le=0.5)]


class SavedErased(Saved):
    """The numbers of an `Erased`. Its arrays are in detector.safetensors."""

    removed: Count
    accuracy_before: Probability
    accuracy_after: Probability


class SavedWeights(Saved):
    """The numbers of `NuisanceWeights`. Its arrays are in detector.safetensors."""

    ess: Probability
    clipped: Probability
    accuracy: Probability
    chance: Probability


class SavedProbe(Saved):
    """The content of a `Probe`."""

    linear: Probability
    nonlinear: Probability
    chance: Probability
    error: Annotated[float, Field(ge=0, lt=1e300)]
    measure: Literal["accuracy", "correlation"]
    judged: Probability


class SavedRepresentation(Saved):
    """The parts of a `Representation` that are neither arrays nor settings."""

    encoder: Module
    removal: Module | None
    classes: list[Label]
    accuracy: Probability
    rate: Probability
    probe: SavedProbe
    erased: SavedErased | None
    weights: SavedWeights | None


class Fitted(Saved):
    """Results of a fit that are numbers. Arrays are in detector.safetensors."""

    threshold_: Finite
    n_features_in_: Many


class SavedReport(Saved):
    """The parts of a report that are not arrays."""

    verdict: Verdict
    note: str
    probability: Probability


class Detector(Saved):
    """The content of detector.json.

    An `AnomalyDetector` has a backbone, a `MixedDetector` kinds, and a `Representation` its own
    entry.
    """

    format_version: int
    backbone: Module | None
    assignment: Module | None
    kinds: list[Module]
    settings: Settings | RepresentationSettings | MixedSettings
    representation: SavedRepresentation | None = None
    history: list[dict[str, str | int | Finite]]
    fitted: Fitted
    names: list[str]
    report: SavedReport
    versions: dict[str, str]


class PatchSettings(Saved):
    """The settings of a `PatchDetector` that are saved, except its detector of cells."""

    neighbourhood: Annotated[int, Field(ge=1, lt=2**16)]
    components: Many
    cells: Annotated[int, Field(ge=2, lt=2**53)]
    contamination: Share | Literal["auto"]


class Patches(Saved):
    """The content of patches.json. Without `nearest`, the detector of cells has its own files."""

    format_version: int
    settings: PatchSettings
    threshold_: Finite
    nearest: Many | None
    report: SavedReport
    versions: dict[str, str]


def plain(value: Any) -> Any:
    """Return a number of NumPy as a number of Python, and anything else as it is.

    Args:
        value: Setting of a detector.
    """
    return value.item() if isinstance(value, np.generic) else value
