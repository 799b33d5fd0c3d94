"""A view of a detector with the conventions of scikit-learn instead of PyOD."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, OutlierMixin


class OutlierView(OutlierMixin, BaseEstimator):
    """A detector with the conventions of scikit-learn: 1 is a normal row, -1 an anomaly.

    Args:
        detector: An `AnomalyDetector`, fitted or not. `fit` fits it.

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
        """Fit the detector and return this view.

        Args:
            X: Features, (N, D), or images, (N, C, H, W).
            y: Ignored. Pipelines pass it.
        """
        self.detector.fit(X)
        return self

    @property
    def offset_(self) -> float:
        """Threshold of `score_samples`. Rows with a lower value are anomalies."""
        return -self.detector.threshold_

    def score_samples(self, X: Any) -> np.ndarray:
        """Return the scores of rows, low for anomalies, (N,).

        Args:
            X: Rows like the training rows.
        """
        return -self.detector.decision_function(X)

    def decision_function(self, X: Any) -> np.ndarray:
        """Return shifted scores, (N,), which are below 0 for anomalies.

        Args:
            X: Rows like the training rows.
        """
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> np.ndarray:
        """Return 1 for normal rows and -1 for anomalies, (N,).

        Args:
            X: Rows like the training rows.
        """
        return 1 - 2 * np.asarray(self.detector.predict(X))

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self.detector, "threshold_")
