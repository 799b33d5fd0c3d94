"""What scores are turned into by the conventions of PyOD and of scikit-learn."""

from typing import Any, Literal

import numpy as np
from scipy.special import erf
from scipy.stats import binom
from sklearn.base import BaseEstimator, OutlierMixin

from nbam_pyro.errors import DataError


def as_shares(
    scores: np.ndarray, train: np.ndarray, *, method: Literal["linear", "unify"]
) -> np.ndarray:
    """Scores brought to [0, 1], (M,). Where all training scores are equal, higher ones are 1.

    Args:
        scores: (M,).
        train: of the training rows, (N,).
        method: "linear", from the lowest to the highest training score; or "unify", the error
            function of standardised scores (Kriegel et al. 2011).

    Raises:
        DataError: the method is neither.

    Example:
        >>> as_shares(np.array([1.5, 9.0]), np.array([1.0, 2.0]), method="linear")
        array([0.5, 1. ])
    """
    match method:
        case "linear":
            low, width = train.min(), np.ptp(train)
            share = (scores - low) / width if width > 0 else scores > low
        case "unify":
            # Of equal numbers, the computed mean may be another one, and the deviation not 0.
            low, width = train.min(), train.std() if np.ptp(train) > 0 else 0.0
            middle = train.mean()
            share = erf((scores - middle) / width / np.sqrt(2)) if width > 0 else scores > low
        case _:
            raise DataError(f"method is {method!r}; give 'linear' or 'unify'.")
    return np.asarray(share, dtype=float).clip(0, 1)


def exceeding(scores: np.ndarray, train: np.ndarray, *, rate: float) -> np.ndarray:
    """How probably rows are above the threshold if training rows are drawn again, (M,).

    Args:
        scores: (M,).
        train: of the training rows, (N,).
        rate: share of the training rows above the threshold.

    Source: Perini et al. (2020).

    Example:
        >>> exceeding(np.array([0.0, 99.0]), np.arange(100.0), rate=0.1).round(2)
        array([0., 1.])
    """
    count = len(train)
    below = (1 + np.searchsorted(np.sort(train), scores, side="right")) / (2 + count)
    return np.asarray(1 - binom.cdf(count - int(count * rate), count, below))


class OutlierView(OutlierMixin, BaseEstimator):
    """A detector with the conventions of scikit-learn: 1 is normal, -1 an anomaly.

    Args:
        detector: an `AnomalyDetector`; fitted by `fit`, if it is not already.

    Example:
        >>> from nbam_pyro.detection import AnomalyDetector, AutoEncoder
        >>> x = np.random.default_rng(0).normal(size=(40, 4))
        >>> detector = AnomalyDetector(AutoEncoder, contamination=0.1, epochs=2, random_state=0)
        >>> int((detector.as_sklearn().fit(x).predict(x) == -1).sum())
        4
    """

    def __init__(self, detector: Any) -> None:
        self.detector = detector

    def fit(self, X: Any, y: Any = None) -> "OutlierView":
        """Fit the detector; y is ignored."""
        self.detector.fit(X)
        return self

    @property
    def offset_(self) -> float:
        """What `score_samples` is below for anomalies."""
        return -self.detector.threshold_

    def score_samples(self, X: Any) -> np.ndarray:
        """Scores, low for anomalies, (N,)."""
        return -self.detector.decision_function(X)

    def decision_function(self, X: Any) -> np.ndarray:
        """Scores shifted so that anomalies are below 0, (N,)."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> np.ndarray:
        """1 for normal rows, -1 for anomalies, (N,)."""
        return 1 - 2 * np.asarray(self.detector.predict(X))

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self.detector, "threshold_")
