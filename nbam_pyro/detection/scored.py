"""The base class of detectors: all methods that follow from the scores of rows."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from nbam_pyro.detection.checks import features_of
from nbam_pyro.detection.outlier_view import OutlierView
from nbam_pyro.detection.reporting import report_on, set_report, threshold_from
from nbam_pyro.detection.scaling import Range
from nbam_pyro.detection.scores import lift, usual_of
from nbam_pyro.detection.thresholds import exceeding

__all__ = ["ScoredDetector"]


class ScoredDetector(BaseEstimator, ABC):
    """The base class of detectors, with the interface of PyOD.

    1 is an anomaly, scores are high for anomalies, and `fit` ignores y. A detector scores scaled
    rows. Rows with wild values then score above all training rows without one.
    """

    contamination: Any
    scale_: Range
    usual_: np.ndarray
    decision_scores_: np.ndarray
    labels_: np.ndarray
    threshold_: float
    report_: Any

    @abstractmethod
    def fit(self, X: Any, y: Any = None, *, verified: Any = None) -> "ScoredDetector":
        """Train on rows of which some may be anomalies, and return the detector itself."""

    @abstractmethod
    def _scores(self, rows: np.ndarray) -> np.ndarray:
        """Return the scores of scaled rows, before wild values are taken into account, (N,)."""

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the scores of rows, high for anomalies, (N,).

        Args:
            X: Rows like the training rows.

        Raises:
            DataError: X is not like the training rows.
        """
        check_is_fitted(self)
        x, _ = features_of(self, X, reset=False)
        return lift(self._scores(self.scale_(x)), self.scale_.beyond(x), self.usual_)

    def predict(
        self, X: Any, return_confidence: bool = False
    ) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """Return 1 for rows that score above the threshold, and 0 for other rows, (N,).

        Args:
            X: Rows like the training rows.
            return_confidence: Whether the result of `predict_confidence` is also returned.
        """
        scores = self.decision_function(X)
        labels = (scores > self.threshold_).astype(int)
        return (labels, self._confidence(scores)) if return_confidence else labels

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probabilities that rows are normal and that they are anomalies, (N, 2).

        The second column is P(z=1 | score), the function of the score that gave unverified training
        rows their responsibilities in `report_`. Its mean over training rows is `contamination_`,
        unless rows are verified. With `contamination="auto"`, training rows with a probability
        above one half have the label 1.

        Args:
            X: Rows like the training rows.
        """
        r = self.report_.responsibility_of(self.decision_function(X))
        return np.stack([1 - r, r], 1)

    def predict_confidence(self, X: Any) -> np.ndarray:
        """Return the probability that each label is the same after training on other rows, (N,).

        Args:
            X: Rows like the training rows.

        Source: Perini et al. (2020).
        """
        return self._confidence(self.decision_function(X))

    def fit_predict(self, X: Any, y: Any = None) -> np.ndarray:
        """Fit the detector, and return the labels of the training rows, (N,).

        Args:
            X: Features, (N, D), or images, (N, C, H, W).
            y: Ignored. Pipelines pass it.
        """
        return self.fit(X).labels_

    def as_sklearn(self) -> OutlierView:
        """Return a view of this detector with the conventions of scikit-learn: -1 is an anomaly."""
        return OutlierView(self)

    def _settle(
        self, scores: np.ndarray, shape: np.ndarray, beyond: np.ndarray, codes: Tensor
    ) -> None:
        """Set all attributes that follow from the scores of the training rows.

        Args:
            scores: Scores of the training rows, before wild values are taken into account, (N,).
            shape: Values with the order of the scores, whose distances have a meaning, (N,).
            beyond: Distance by which the furthest value of each row exceeds the largest value that
                is used, (N,).
            codes: Integer codes of verified rows, (N,).
        """
        self.usual_ = usual_of(scores, beyond)
        self.decision_scores_ = lift(scores, beyond, self.usual_)
        lifted = lift(shape, beyond, usual_of(shape, beyond))
        set_report(self, report_on(lifted, self.decision_scores_, codes))
        self.threshold_ = threshold_from(self.report_, self.contamination)
        self.labels_ = (self.decision_scores_ > self.threshold_).astype(int)

    def _confidence(self, scores: np.ndarray) -> np.ndarray:
        outlier = exceeding(scores, self.decision_scores_, rate=float(self.labels_.mean()))
        return np.where(scores > self.threshold_, outlier, 1 - outlier)
