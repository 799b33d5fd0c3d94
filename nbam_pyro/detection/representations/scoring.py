"""Scores of rows in a representation."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from sklearn.linear_model import LogisticRegression

from nbam_pyro.detection.representations.gaussians import ClassGaussians
from nbam_pyro.detection.statistics import MaxLogit

__all__ = ["Score", "scores_of"]

Score = Literal["mahalanobis", "max_logit", "density"]


@dataclass(frozen=True)
class _Logits:
    """One logit for each class, (N, K). Two classes have logits of opposite signs."""

    classifier: LogisticRegression

    def __call__(self, r: np.ndarray) -> np.ndarray:
        logits = self.classifier.decision_function(r)
        return logits if logits.ndim == 2 else np.stack([-logits, logits], 1) / 2


def scores_of(
    r: np.ndarray, score: Score, densities: ClassGaussians, classifier: LogisticRegression
) -> np.ndarray:
    """Return scores of the representation of rows, high for anomalies, (N,).

    Args:
        r: Rows of the representation, (N, D).
        score: "mahalanobis" for the squared distance to the nearest class, "max_logit" for the
            negative highest logit, or "density" for the negative log density of normal rows.
        densities: Densities of normal rows and of anomalies.
        classifier: Classifier of the representation.
    """
    match score:
        case "mahalanobis":
            return densities.within(r)
        case "density":
            return np.asarray(densities.energies(r).clean.numpy())
        case "max_logit":
            return MaxLogit(_Logits(classifier))(r)
