"""Methods of the detection benchmark by name: those of the library, and detectors of PyOD."""

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from benchmarks.detection.protocol import Split
from nbam_pyro.detection import (
    AnomalyDetector,
    Assignment,
    AutoEncoder,
    Backbone,
    Blind,
    DeepSVDD,
    Hard,
    InternalContrast,
    NeuralTransformations,
    Refine,
    Rotations,
    Soft,
)
from nbam_pyro.detection.energies import Prior, energies_of
from nbam_pyro.detection.scaling import Range
from nbam_pyro.detection.settings import Schedule
from nbam_pyro.detection.training import train_backbone
from nbam_pyro.errors import DataError
from nbam_pyro.outputs.switch_codes import UNKNOWN
from nbam_pyro.training.lightning import Options

# Share of training rows, normal rows and contaminants, whose true switch `deepsad` gets.
_TOLD = 0.1
_IMAGE_EPOCHS = 4


@dataclass(frozen=True, kw_only=True)
class Found:
    """Result of a method on one split.

    Attributes:
        scores: Scores of the test rows, (M,). High scores mean anomalies.
        rate: Estimated share of anomalies among training rows, or None without an estimate.
    """

    scores: np.ndarray
    rate: float | None = None


@dataclass(frozen=True, kw_only=True)
class Told:
    """Settings of a method.

    Attributes:
        alpha: Assumed share of anomalies among training rows.
        epochs: Epochs of training, or None for the default of the method.
        scale: Scaling of features, as in `AnomalyDetector`. None leaves features unchanged.
    """

    alpha: float
    epochs: int | None = None
    scale: Literal["range"] | None = "range"

    def scaled(self, split: Split) -> Split:
        """Return the split with features scaled as in `AnomalyDetector`."""
        scale = Range.of(split.train) if self.scale else Range.none()
        return replace(split, train=scale(split.train), test=scale(split.test))


Method = Callable[[Sequence[Split], Told], list[Found]]


@dataclass(frozen=True, kw_only=True)
class Ours:
    """A backbone trained with an assignment. All splits are members of one batched model.

    Args:
        backbone: Function that makes the model for a number of features or channels.
        assignment: Rule that assigns the switches of unverified rows.
        observed: Share of training rows whose true switch (1 for an anomaly, 0 for a normal row) is
            given.
        epochs: Default number of epochs.
        lr: Learning rate.
    """

    backbone: Callable[..., Backbone]
    assignment: Assignment
    epochs: int
    observed: float = 0.0
    lr: float = 1e-3

    def __call__(self, splits: Sequence[Split], told: Told) -> list[Found]:
        scaled = [told.scaled(one) for one in splits]
        train = torch.stack([torch.as_tensor(one.train).float() for one in scaled])
        test = torch.stack([torch.as_tensor(one.test).float() for one in scaled])
        model = self.backbone(train.shape[2], members=len(splits))
        train_backbone(
            model,
            self.assignment,
            train,
            Prior([told.alpha] * len(splits)),
            verified=torch.stack([self._observed(split) for split in splits]),
            schedule=Schedule(epochs=told.epochs or self.epochs, lr=self.lr),
            options=Options(batch_size=128),
        )
        return [Found(scores=scores.numpy()) for scores in energies_of(model, test).clean]

    def _observed(self, split: Split) -> Tensor:
        truth = torch.as_tensor(split.contaminant).long()
        return torch.where(torch.rand(len(truth)) < self.observed, truth, UNKNOWN)


@dataclass(frozen=True, kw_only=True)
class Auto:
    """An `AnomalyDetector` that estimates the share of anomalies from the data.

    Args:
        backbone: Function that makes the model for a number of features or channels.
        epochs: Default number of epochs.
    """

    backbone: Callable[..., Backbone]
    epochs: int

    def __call__(self, splits: Sequence[Split], told: Told) -> list[Found]:
        return [self._of(split, told) for split in splits]

    def _of(self, split: Split, told: Told) -> Found:
        detector = AnomalyDetector(
            self.backbone,
            epochs=told.epochs or self.epochs,
            scale=told.scale,
            random_state=int(torch.randint(2**31, ())),
        )
        detector.fit(split.train)
        scores = detector.decision_function(split.test)
        return Found(scores=scores, rate=detector.contamination_)


def tabular(name: str, features: int) -> Method:
    """Return the method for tables that has a given name.

    Args:
        name: Name such as "ntl-soft" or "iforest".
        features: Number of columns of the table. Networks are wider above 100 columns.
    """
    if name in PYOD:
        return partial(_pyod, PYOD[name])
    if name == "deepsad":
        published = partial(DeepSVDD, far="inverse")
        return Ours(backbone=published, assignment=Blind(), observed=_TOLD, epochs=EPOCHS["svdd"])
    family, _, way = name.partition("-")
    if way == "auto":
        return Auto(backbone=_backbone(family, features), epochs=EPOCHS[family])
    return Ours(
        backbone=_backbone(family, features),
        assignment=WAYS[way],
        observed=1.0 if way == "truth" else 0.0,
        epochs=EPOCHS[family],
    )


def rotations(name: str) -> Method:
    """Return the method for images that has a given name, such as "mhrot-hard"."""
    way = name.partition("-")[2]
    if way == "auto":
        return Auto(backbone=Rotations, epochs=_IMAGE_EPOCHS)
    observed = 1.0 if way == "truth" else 0.0
    return Ours(backbone=Rotations, assignment=WAYS[way], observed=observed, epochs=_IMAGE_EPOCHS)


def _backbone(family: str, features: int) -> Callable[..., Backbone]:
    wide = features > 100
    match family:
        case "ntl":
            large = {"transform_width": 200, "width": 64, "embedding": 32}
            return partial(NeuralTransformations, **(large if wide else {}))
        case "icl":
            return InternalContrast
        case "svdd":
            return DeepSVDD
        case "ae":
            return AutoEncoder
    raise DataError(f"Unknown backbone {family!r}. Choose from ntl, icl, svdd, ae.")


def require_pyod() -> None:
    """Raise a `DataError` with the install command if PyOD is not installed."""
    if importlib.util.find_spec("pyod") is None:
        raise DataError("iforest, ecod, lof and deepsvdd need the package PyOD: pip install pyod.")


def _pyod(path: str, splits: Sequence[Split], told: Told) -> list[Found]:
    module, _, name = path.rpartition(".")
    make: Any = getattr(importlib.import_module(module), name)
    found = []
    for one in map(told.scaled, splits):
        further = {"n_features": one.train.shape[1], "verbose": 0} if name == "DeepSVDD" else {}
        detector = make(contamination=min(max(told.alpha, 0.01), 0.5), **further).fit(one.train)
        found.append(Found(scores=np.asarray(detector.decision_function(one.test))))
    return found


WAYS = {
    "blind": Blind(),
    "refine": Refine(),
    "soft": Soft(),
    "hard": Hard(),
    "truth": Blind(),
}
# Epochs were chosen on other seeds (from 100 on).
EPOCHS = {"ntl": 200, "icl": 60, "svdd": 200, "ae": 200}
PYOD = {
    "iforest": "pyod.models.iforest.IForest",
    "ecod": "pyod.models.ecod.ECOD",
    "lof": "pyod.models.lof.LOF",
    "deepsvdd": "pyod.models.deep_svdd.DeepSVDD",
}
TABULAR = [*(f"{family}-{way}" for family in EPOCHS for way in [*WAYS, "auto"]), "deepsad", *PYOD]
IMAGE = [f"mhrot-{way}" for way in [*WAYS, "auto"]]
