"""Thresholds of a detector's scores, and the probability that a row lies above a threshold."""

import numpy as np
from scipy.stats import binom

__all__ = ["exceeding", "threshold_of", "threshold_of_responsibilities"]

# Rows of equal scores are flagged together if they are at most this share of the training rows.
_MOST = 0.5
# Rows are flagged if they are more probably anomalies than not.
_EVEN = 0.5


def threshold_of(scores: np.ndarray, rate: float) -> float:
    """Return the score above which a row is an anomaly.

    The threshold lies between the scores of two training rows; the share of rows above it is the
    rate. Rows with equal scores get equal labels. If only some of them would be flagged at this
    rate, all of them are flagged. If that would flag more than half of the rows, only rows with
    higher scores are flagged.

    Args:
        scores: Scores of the training rows, (N,). A higher score is more anomalous.
        rate: Share of the training rows that are anomalies, up to one half.

    Returns:
        The threshold. If no row is flagged, it is the highest score.

    Example:
        >>> threshold_of(np.arange(11.0), 0.25)
        7.5
        >>> threshold_of(np.array([0.0, 1.0, 2.0, 2.0, 1.0, 0.0]), 0.2)  # both rows of score 2
        1.0
        >>> threshold_of(np.ones(10), 0.2)
        1.0
    """
    ordered = np.sort(scores)
    # A rounding error of 1 - rate must not move a place that is a whole number.
    place = round((1 - rate) * (len(ordered) - 1), 6)
    at = int(place)
    if at == len(ordered) - 1:
        return float(ordered[-1])
    lower, upper = ordered[at], ordered[at + 1]
    if lower == upper:
        tied = ordered == upper
        first = int(tied.argmax())
        if first == 0 or len(ordered) - first > _MOST * len(ordered):
            return float(upper)
        lower = ordered[first - 1]
    between = lower + (upper - lower) * (place - at)
    return float(min(between, np.nextafter(upper, -np.inf)))


def threshold_of_responsibilities(scores: np.ndarray, responsibility: np.ndarray) -> float:
    """Return the score above which a row is more probably an anomaly than not.

    The threshold lies between the scores of two rows. If no row is flagged, it is the highest
    score.

    Args:
        scores: Scores of rows, (N,).
        responsibility: Probability that each row is an anomaly, (N,). It rises with the score.

    Example:
        >>> threshold_of_responsibilities(np.array([1.0, 2.0, 5.0]), np.array([0.1, 0.2, 0.9]))
        3.5
    """
    flagged = responsibility > _EVEN
    if not flagged.any():
        return float(scores.max())
    upper = scores[flagged].min()
    below = scores[scores < upper]
    if not len(below):
        return float(np.nextafter(upper, -np.inf))
    return float(min(below.max() + (upper - below.max()) / 2, np.nextafter(upper, -np.inf)))


def exceeding(scores: np.ndarray, train: np.ndarray, *, rate: float) -> np.ndarray:
    """Return the probability that each row is flagged after training on other rows, (M,).

    The other training rows are assumed to come from the same distribution.

    Args:
        scores: Scores of rows, (M,).
        train: Scores of the training rows, (N,).
        rate: Share of the training rows that are flagged.

    Source: Perini et al. (2020).

    Example:
        >>> exceeding(np.array([0.0, 99.0]), np.arange(100.0), rate=0.1).round(2)
        array([0., 1.])
    """
    count = len(train)
    below = (1 + np.searchsorted(np.sort(train), scores, side="right")) / (2 + count)
    return np.asarray(1 - binom.cdf(count - int(count * rate), count, below))
