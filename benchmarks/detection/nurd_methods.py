"""Methods of the benchmark `nurd`: what is done about the nuisance, by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from torch import nn

from nbam_pyro.detection import Blind
from nbam_pyro.detection.representations import (
    Erasure,
    Independence,
    NuisanceWeights,
    Probe,
    Representation,
    nuisance_weights,
    probe,
)
from nbam_pyro.detection.representations.background import Background
from nbam_pyro.detection.representations.model import Learned, learn
from nbam_pyro.detection.representations.nuisance import Classes, Nuisance
from nbam_pyro.detection.representations.scoring import Score, scores_of
from nbam_pyro.detection.representations.weights import check_effective, weights_of
from nbam_pyro.detection.scaling import Range
from nbam_pyro.detection.scores import lift, usual_of
from nbam_pyro.outputs.switch_codes import switch_codes
from nbam_pyro.training.folds import split

__all__ = ["Fitted", "fitted"]

_METHODS: Mapping[str, Mapping[str, Any]] = {
    "erm": {"removal": None, "weighted": False},
    "weights": {"removal": None},
    "nurd": {"removal": Independence(), "batch_size": 1000},
    "erased": {"removal": Erasure()},
    "erm-latent": {"removal": None, "weighted": False, "wrong_labels": True},
    "erased-latent": {"removal": Erasure(), "wrong_labels": True},
    "erased-spread": {"removal": Erasure(spread=True)},
}


@dataclass(frozen=True, eq=False, kw_only=True)
class Fitted:
    """The fit of a `Representation` that scores new rows, without the fits for training rows.

    Attributes:
        learned: Encoder, densities and classifier.
        scale: Scaling of the features.
        weights: Weights of the training rows; None if they have weights of 1.
        probe: Probe on held-out rows.
        apart: Held-out rows.
    """

    learned: Learned
    scale: Range
    weights: NuisanceWeights | None
    probe: Probe
    apart: np.ndarray

    def transform(self, x: np.ndarray) -> np.ndarray:
        """Return the representation of rows."""
        return self.learned.represented(self.scale(x))

    def classify(self, x: np.ndarray) -> np.ndarray:
        """Return the most probable class of rows."""
        return np.asarray(self.learned.classifier.predict(self.transform(x)))

    def scores(self, x: np.ndarray, score: Score) -> np.ndarray:
        """Return the scores of rows, high for anomalies, as `decision_function` does."""
        held_out = self._raw(self.apart, score)
        usual = usual_of(held_out, self.scale.beyond(self.apart))
        return lift(self._raw(x, score), self.scale.beyond(x), usual)

    def _raw(self, x: np.ndarray, score: Score) -> np.ndarray:
        return scores_of(self.transform(x), score, self.learned.densities, self.learned.classifier)


def fitted(
    method: str,
    encoder: Callable[[int], nn.Module],
    data: tuple[np.ndarray, np.ndarray, np.ndarray],
    *,
    random_state: int,
    **settings: Any,
) -> Fitted:
    """Fit once, as `Representation` does for new rows.

    Args:
        method: Name of the method.
        encoder: Function that makes the network.
        data: Rows, classes 0 to K - 1, and nuisances.
        random_state: Seed.
        settings: Further settings of `Representation`. Those of the method have priority.
    """
    x, y, nuisance = data
    detector = Representation(encoder, **{"assignment": Blind(), **settings, **_METHODS[method]})
    seed = int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
    classes, values, scale = Classes.of(y), Nuisance.of(nuisance, len(x)), Range.of(x)
    weights = None
    if detector.weighted:
        weights = nuisance_weights(y, values, clip=detector.clip, seed=seed)
    w = weights_of(weights, len(x))
    check_effective(w)
    known = Background(classes=classes, nuisance=values, weights=w)
    rows = next(iter(split(classes.codes, round(1 / detector.held_out), seed=seed)))
    learned = learn(detector, scale(x), known, switch_codes(None, len(x)), rows, seed=seed)
    apart = known[rows[1]]
    r = learned.represented(scale(x[rows[1]]))
    found = probe(r, apart.labels, apart.nuisance, weights=apart.weights, seed=seed)
    return Fitted(learned=learned, scale=scale, weights=weights, probe=found, apart=x[rows[1]])
