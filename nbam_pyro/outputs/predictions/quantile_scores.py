"""Normal scores of measurements under predicted quantiles."""

from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from nbam_pyro.errors import DataError

__all__ = ["QuantileScores", "quantile_scores"]

_TINY = 1e-12


class QuantileScores(NamedTuple):
    """Normal scores under predicted quantiles, and centre and scale of the predictions.

    Attributes:
        scores: Normal score of the predicted probability below the measurement, (N,).
        median: Predicted median, (N,).
        scale: Distance between the outermost quantiles, divided by the difference of their normal
            scores, (N,).
    """

    scores: np.ndarray
    median: np.ndarray
    scale: np.ndarray


def quantile_scores(y: np.ndarray, quantiles: np.ndarray, levels: np.ndarray) -> QuantileScores:
    r"""Return :math:`e = \Phi^{-1}(F(y))` with a predicted distribution function F.

    Between two predicted quantiles e is linear in y, so that F is monotone. Beyond the outermost
    quantiles e grows at the mean rate between that quantile and the median. Quantiles that cross
    are sorted in each row.

    Args:
        y: Measurements, (N,), NaN if missing.
        quantiles: Predicted quantiles, (N, Q).
        levels: Levels of the quantiles, (Q,), in rising order, in (0, 1).

    Raises:
        DataError: All quantiles of a row are equal.

    Source: Chernozhukov, Fernández-Val & Galichon (2010) sort quantiles that cross.

    Example:
        >>> found = quantile_scores(np.array([3.0]), np.array([[0.0, 1.0]]), np.array([0.5, 0.84]))
        >>> found.scores.round(1)
        array([3.])
    """
    q, z = np.sort(quantiles, axis=1), ndtri(levels)
    width = q[:, -1] - q[:, 0]
    if (flat := width <= 0).any():
        raise DataError(
            f"quantiles are all equal in {int(flat.sum())} rows, the first is row "
            f"{int(flat.argmax())}. Give quantiles that say how uncertain each prediction is, or "
            "give mean= alone."
        )
    scale = width / (z[-1] - z[0])
    median = np.array([np.interp(0.0, z, row) for row in q])
    inside = np.array([_interpolated(*one, z) for one in zip(y, q, strict=True)])
    low, high = (_side(q[:, end], median, z[end], scale) for end in (0, -1))
    below, above = y < q[:, 0], y > q[:, -1]
    scores = np.where(below, z[0] + (y - q[:, 0]) / low, inside)
    return QuantileScores(np.where(above, z[-1] + (y - q[:, -1]) / high, scores), median, scale)


def _interpolated(y: float, q: np.ndarray, z: np.ndarray) -> float:
    """Score of a measurement between quantiles; the middle one where several are equal."""
    upper = np.interp(y, q, z)
    lower = -np.interp(-y, -q[::-1], -z[::-1])
    return float((upper + lower) / 2)


def _side(end: np.ndarray, median: np.ndarray, z: float, scale: np.ndarray) -> np.ndarray:
    """Scale of one tail: from the median to the outermost quantile, if they differ."""
    if abs(z) < _TINY:
        return scale
    side = (end - median) / z
    return np.where(side > _TINY * scale, side, scale)
