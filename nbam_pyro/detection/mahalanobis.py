"""`Mahalanobis`: the distance to the nearest class, in units of the scatter within classes."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from nbam_pyro.checks.numbers import check_finite
from nbam_pyro.checks.spacing import check_spacing
from nbam_pyro.checks.weights import row_weights
from nbam_pyro.detection.statistics import TestStatistic
from nbam_pyro.errors import DataError

__all__ = ["Mahalanobis"]

# The rounding error of a difference, as a share of the numbers that are subtracted.
_ROUNDING = 8 * np.finfo(float).eps


class Mahalanobis(TestStatistic):
    r"""The squared distance to the nearest class mean, in units of the shared covariance.

    .. math:: \min_k (x - \mu_k)^\top \Sigma^{+} (x - \mu_k)

    Sigma^+ is the pseudo-inverse of the covariance. With a ridge of 0, the distance is infinite for
    a row that differs in a direction in which the training rows do not vary. A positive ridge makes
    this distance finite. Features are first divided by their standard deviations within classes.
    Therefore the distance does not depend on their units.

    Means and covariance are moments of the training rows, with weights if they are given.

    Args:
        features: Features of the training rows, (M, D).
        labels: Classes of the training rows, (M,). None treats all rows as one class.
        ridge: Share of the mean variance that is added to the variance of each direction.
        weights: Weights of the training rows, (M,), such as those of `nuisance_weights`. A row of
            weight 2 counts as two rows. None for weights of 1.

    Raises:
        DataError: There are no rows, `features` is not a matrix of finite numbers, a label is
            missing, `ridge` is negative or not finite, or the weights of a class are negative, not
            finite or all 0.

    Source: Lee et al. (2018).

    Example:
        >>> statistic = Mahalanobis([[0.0, 0.0], [2.0, 0.0]], ridge=0.0)
        >>> statistic([[1.0, 0.0], [3.0, 0.0], [1.0, 1.0]])
        array([ 0.,  4., inf])
    """

    against = "rows far from all classes, in directions in which classes vary little"

    def __init__(
        self,
        features: ArrayLike,
        labels: ArrayLike | None = None,
        *,
        ridge: float = 1e-6,
        weights: ArrayLike | None = None,
    ) -> None:
        x = np.asarray(features, dtype=float)
        if x.ndim != 2 or not len(x):
            raise DataError(f"features have shape {x.shape}; give (M, D) with at least one row.")
        check_finite(x, "features")
        check_spacing(x)
        if labels is not None and np.shape(labels) != (len(x),):
            raise DataError(
                f"labels have shape {np.shape(labels)}; give one for each of {len(x)} rows."
            )
        if not 0 <= ridge < np.inf:
            raise DataError(f"ridge is {ridge}; give a finite number, 0 or more.")
        y = np.zeros(len(x), dtype=int) if labels is None else np.asarray(labels)
        if pd.isna(y).any():
            at = int(pd.isna(y).argmax())
            raise DataError(f"The label of row {at} is missing: leave out rows without a label.")
        classes, code = np.unique(y, return_inverse=True)
        w = row_weights(weights, len(x), codes=code)
        # Differences from a row lose no digits, even if all values have a large offset.
        self.origin = x[0]
        moved = x - self.origin
        means = np.stack(
            [w[code == k] @ moved[code == k] / w[code == k].sum() for k in range(len(classes))]
        )
        deviation = np.sqrt(w @ np.square(moved - means[code]) / w.sum())
        still = deviation <= _ROUNDING * np.abs(x).max(0)
        self.unit = np.where(still, 1.0, deviation)
        self.means = means / self.unit
        within = np.where(still, 0.0, moved / self.unit - self.means[code])
        variance, self.directions = np.linalg.eigh((within.T * w) @ within / w.sum())
        tiny = len(variance) * np.finfo(float).eps * max(variance.max(), 0.0)
        variance = np.where(variance > tiny, variance, 0.0)
        self.variance = variance + ridge * variance.mean()

    @classmethod
    def of_moments(
        cls,
        *,
        origin: np.ndarray,
        unit: np.ndarray,
        means: np.ndarray,
        directions: np.ndarray,
        variance: np.ndarray,
    ) -> "Mahalanobis":
        """Return the statistic with given moments, such as those of a saved statistic.

        Args:
            origin: Row that is subtracted first, (D,).
            unit: Numbers by which features are then divided, above 0, (D,).
            means: Means of the K classes after both, (K, D).
            directions: Eigenvectors of the covariance within classes, in columns, (D, D).
            variance: Variance along each of them, (D,).

        Example:
            >>> one = Mahalanobis([[0.0, 0.0], [2.0, 1.0]])
            >>> names = ("origin", "unit", "means", "directions", "variance")
            >>> again = Mahalanobis.of_moments(**{name: getattr(one, name) for name in names})
            >>> again([[3.0, 4.0]]) == one([[3.0, 4.0]])
            array([ True])
        """
        made = cls.__new__(cls)
        made.origin, made.unit, made.means = origin, unit, means
        made.directions, made.variance = directions, variance
        return made

    def __call__(self, x: ArrayLike) -> np.ndarray:
        """Return the squared distances of rows to the nearest class mean, (N,).

        Args:
            x: Features of the rows, (N, D).
        """
        return np.asarray(self.distances(x).min(1))

    def distances(self, x: ArrayLike) -> np.ndarray:
        """Return the squared distances of rows to the means of the K classes, (N, K).

        Args:
            x: Features of the rows, (N, D).

        Raises:
            DataError: x has another number of columns, or numbers that are not finite.
        """
        rows = np.asarray(x, dtype=float)
        if rows.ndim != 2 or rows.shape[1] != self.means.shape[1]:
            raise DataError(f"x has shape {rows.shape}; give (N, {self.means.shape[1]}).")
        check_finite(rows, "x")
        along = ((rows - self.origin) / self.unit)[:, None] - self.means
        along = along @ self.directions  # (N, K, D)
        # In a direction without variance, a rounding error must not count as a distance.
        large = np.max((np.abs(rows) + np.abs(self.origin)) / self.unit, axis=1, initial=1.0)
        size = len(self.unit) * _ROUNDING * (large + np.abs(self.means).max())
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            squared = along**2 / self.variance
        still = self.variance == 0
        left = np.abs(along[..., still]) > size[:, None, None]
        squared[..., still] = np.where(left, np.inf, 0.0)
        return np.asarray(squared.sum(-1))
