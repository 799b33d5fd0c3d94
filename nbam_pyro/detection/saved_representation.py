"""The parts of a saved detector that scores rows in a representation without a nuisance."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from nbam_pyro.detection.assignments import Assignment
from nbam_pyro.detection.mahalanobis import Mahalanobis
from nbam_pyro.detection.representations import (
    ClassGaussians,
    Erased,
    Erasure,
    Independence,
    NuisanceWeights,
    Probe,
    Representation,
)
from nbam_pyro.detection.representations.model import Learned
from nbam_pyro.detection.schema import (
    Detector,
    RepresentationSettings,
    SavedErased,
    SavedWeights,
    plain,
)
from nbam_pyro.errors import DataError, StoryError
from nbam_pyro.storage.description import build, describe
from nbam_pyro.storage.model_file import as_description, fill, tensors_of
from nbam_pyro.storage.tensors import saved_tensor

__all__ = ["loaded_representation", "mismatched_representation", "saved_representation"]

_SETTINGS = tuple(RepresentationSettings.model_fields)
_MOMENTS = ("origin", "unit", "means", "directions", "variance")
_BALANCE = ("mean", "se", "balanced")


@dataclass(frozen=True, kw_only=True)
class SavedEncoder:
    """Makes the network of a saved detector again, with fresh weights.

    Args:
        description: Description of the network.
        inputs: Number of features (of channels for images) that it takes.
        allow: Import paths of classes that may be imported.
    """

    description: Mapping[str, Any]
    inputs: int
    allow: Collection[str]

    def __call__(self, inputs: int) -> nn.Module:
        if inputs != self.inputs:
            raise DataError(
                f"The rows have {inputs} features or channels, but the encoder of the loaded "
                f"detector takes {self.inputs}. Set another encoder, or give rows like the first."
            )
        made: nn.Module = build(self.description, allow=self.allow)
        return made


def saved_representation(detector: Representation) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return what only this kind of detector saves: entries of detector.json, and tensors.

    Args:
        detector: Fitted detector.

    Raises:
        StoryError: The class of the encoder or of the assignment does not keep its arguments as
            attributes of the same names.
    """
    weights, learned = detector.weights_, detector.learned_
    erased = learned.erased
    described = {
        "backbone": None,
        "assignment": None if detector.assignment is None else describe(detector.assignment),
        "kinds": [],
        "settings": {name: plain(getattr(detector, name)) for name in _SETTINGS},
        "history": learned.history,
        "representation": {
            "encoder": describe(learned.encoder),
            "removal": None if detector.removal is None else describe(detector.removal),
            "classes": detector.classes_.tolist(),
            "accuracy": detector.accuracy_,
            "rate": learned.rate,
            "probe": asdict(detector.probe_),
            "erased": None if erased is None else _numbers(erased, SavedErased),
            "weights": None if weights is None else _numbers(weights, SavedWeights),
        },
    }
    arrays: dict[str, np.ndarray] = {
        "shares": learned.densities.shares,
        "classifier.coef": learned.classifier.coef_,
        "classifier.intercept": learned.classifier.intercept_,
    }
    for name in ("within", "broad"):
        statistic = getattr(learned.densities, name)
        arrays |= {f"{name}.{part}": getattr(statistic, part) for part in _MOMENTS}
    if erased is not None:
        arrays |= {"erased.origin": erased.origin, "erased.matrix": erased.matrix}
    if learned.transition is not None:
        arrays["transition"] = learned.transition
    if weights is not None:
        arrays["weights"] = weights.values
        arrays |= {f"balance.{name}": weights.balance[name].to_numpy() for name in _BALANCE}
    tensors = {name: torch.as_tensor(np.array(array)) for name, array in arrays.items()}
    return described, {
        "grain": detector.grain_,
        **tensors,
        **tensors_of("encoder", learned.encoder),
    }


def loaded_representation(
    model: Detector, tensors: Mapping[str, Tensor], allow: Collection[str]
) -> Representation:
    """Return a detector without the parts that all detectors save.

    Args:
        model: Content of detector.json.
        tensors: Tensors by name.
        allow: Import paths of classes that may be imported.

    Raises:
        FolderError: A tensor is missing.
        StoryError: A class is wrong or not in `allow`, or its tensors do not match the saved ones.
    """
    saved = model.representation
    if saved is None or not isinstance(model.settings, RepresentationSettings):
        raise StoryError("detector.json has no encoder. Restore the file or fit again.")
    described = as_description(saved.encoder)
    encoder, removal, assignment = (
        None if part is None else build(as_description(part), allow=allow)
        for part in (saved.encoder, saved.removal, model.assignment)
    )
    if (
        not isinstance(encoder, nn.Module)
        or not isinstance(removal, Erasure | Independence | None)
        or not isinstance(assignment, Assignment | None)
    ):
        raise StoryError(
            f"detector.json has a wrong class: {type(encoder).__name__} must be a module, "
            f"{type(removal).__name__} an Erasure or Independence and {type(assignment).__name__} "
            "an Assignment. Restore the file or fit again."
        )
    fill(encoder, "encoder", tensors)
    inputs = model.fitted.n_features_in_
    detector = Representation(
        SavedEncoder(description=described, inputs=inputs, allow=allow),
        removal=removal,
        assignment=assignment,
        **model.settings.model_dump(),
    )

    def array(name: str) -> np.ndarray:
        return saved_tensor(tensors, name).numpy()

    def moments(name: str) -> Mahalanobis:
        return Mahalanobis.of_moments(**{part: array(f"{name}.{part}") for part in _MOMENTS})

    classifier = LogisticRegression()
    classifier.coef_ = array("classifier.coef")
    classifier.intercept_ = array("classifier.intercept")
    classifier.classes_ = np.arange(len(saved.classes))
    detector.learned_ = Learned(
        encoder=encoder.double().eval(),
        erased=None
        if saved.erased is None
        else Erased(
            origin=array("erased.origin"),
            matrix=array("erased.matrix"),
            **saved.erased.model_dump(),
        ),
        densities=ClassGaussians(moments("within"), array("shares"), moments("broad")),
        classifier=classifier,
        transition=array("transition") if model.settings.wrong_labels else None,
        rate=saved.rate,
        history=model.history,
    )
    detector.grain_ = saved_tensor(tensors, "grain")
    detector.classes_ = np.array(saved.classes)
    detector.accuracy_ = saved.accuracy
    detector.probe_ = Probe(**saved.probe.model_dump())
    detector.weights_ = None
    if saved.weights is not None:
        columns = {name: array(f"balance.{name}") for name in _BALANCE}
        detector.weights_ = NuisanceWeights(
            values=array("weights"),
            balance=pd.DataFrame(columns, index=pd.Index(detector.classes_, name="class")),
            **saved.weights.model_dump(),
        )
    return detector


def mismatched_representation(detector: Representation) -> list[str]:
    """Return the names of parts whose sizes do not match the representation.

    Args:
        detector: Loaded detector.
    """
    weights, learned = detector.weights_, detector.learned_
    densities, erased, classifier = learned.densities, learned.erased, learned.classifier
    within, transition = densities.within, learned.transition
    width, classes = within.means.shape[-1], len(detector.classes_)
    rows = len(detector.decision_scores_)
    logits = 1 if classes == 2 else classes
    agreed = {
        "classes": classes >= 2 and len(set(detector.classes_.tolist())) == classes,
        "shares": densities.shares.shape == (classes,) and bool((densities.shares > 0).all()),
        "within": _matches(within, (classes, width)),
        "broad": _matches(densities.broad, (1, width)),
        "classifier": classifier.coef_.shape == (logits, width)
        and classifier.intercept_.shape == (logits,),
        "erased": erased is None
        or (erased.matrix.shape == (*erased.origin.shape, width) and erased.origin.ndim == 1),
        "grain": detector.grain_.shape == (1, 1),
        "weights": weights is None
        or (weights.values.shape == (rows,) and bool((weights.values >= 0).all())),
        "transition": transition is None or transition.shape == (classes, classes),
        "erasure": (erased is not None) == isinstance(detector.removal, Erasure),
        "weighted": (weights is not None) == detector.weighted,
    }
    return [name for name, same in agreed.items() if not same]


def _numbers(result: object, schema: type[SavedErased] | type[SavedWeights]) -> dict[str, Any]:
    return {name: getattr(result, name) for name in schema.model_fields}


def _matches(statistic: Mahalanobis, shape: tuple[int, int]) -> bool:
    width = shape[1:]
    return (
        statistic.means.shape == shape
        and statistic.origin.shape == statistic.unit.shape == statistic.variance.shape == width
        and statistic.directions.shape == width * 2
        and bool((statistic.unit > 0).all() and (statistic.variance > 0).all())
    )
