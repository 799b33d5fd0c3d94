"""Scores of rows in a representation."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from sklearn.linear_model import LogisticRegression

from nbam_pyro.detection.representations.gaussians import ClassGaussians
from nbam_pyro.detection.statistics import MaxLogit

__all__ = ["Score", "on_scale_of", "scores_of"]

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


def on_scale_of(first: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return scores of one fit on the scale of another: with its median and interquartile range.

    Two fits of the same data have representations of different scales, and perhaps of different
    widths.

    Args:
        first: Scores of other rows of the same distribution by the other fit, (M,).
        scores: Scores of the fit, (N,).

    Example:
        >>> on_scale_of(np.array([0.0, 1.0, 2.0]), np.array([0.0, 10.0, 20.0]))
        array([0., 1., 2.])
    """
    (low, middle, high), (below, centre, above) = (
        np.quantile(one, [0.25, 0.5, 0.75]) for one in (first, scores)
    )
    factor = (high - low) / (above - below) if above > below and high > low else 1.0
    return np.asarray(middle + factor * (scores - centre))
