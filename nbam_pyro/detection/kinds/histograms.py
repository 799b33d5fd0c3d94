"""`Histograms`: how rare the values of a row are in each feature."""

from dataclasses import dataclass
from typing import final

import numpy as np

from nbam_pyro.detection.kinds.base import Kind, Learned
from nbam_pyro.models.likelihoods.component import check_whole

__all__ = ["Histograms"]

# Rows that a bin without rows counts.
_EMPTY = 0.1
# Rounding error of a place, in bins.
_ROUNDING = 1e-6


@final
@dataclass(frozen=True, kw_only=True)
class Histograms(Kind):
    """The negative log density of a row, as if features were independent.

    The density of each feature is a histogram with bins of equal width.

    Args:
        bins: Number of bins between the lowest and the highest value of a feature.

    Raises:
        DataError: The number of bins is not a whole number above 0.

    Source: Goldstein & Dengel (2012).

    Example:
        >>> x = np.r_[np.zeros((5, 1)), np.ones((4, 1)), [[0.5]]]
        >>> kind = Histograms(bins=10)
        >>> kind.scores(kind.learn(x, np.random.default_rng(0)), x).argmax()
        np.int64(9)
    """

    bins: int = 20

    def __post_init__(self) -> None:
        check_whole("bins", self.bins, least=1)

    def learn(self, x: np.ndarray, rng: np.random.Generator) -> Learned:
        low, high = x.min(0), x.max(0)
        width = np.where(high > low, high - low, 1.0) / self.bins
        cell = _cells(x, low, width, self.bins)
        counts = np.stack([np.bincount(one, minlength=self.bins + 1) for one in cell.T])
        return {"low": low, "width": width, "rare": -np.log((counts + _EMPTY) / len(x))}

    def scores(self, learned: Learned, x: np.ndarray) -> np.ndarray:
        cell = _cells(x, learned["low"], learned["width"], self.bins)
        total = np.zeros(len(x))
        # Features are added one at a time, so that the sum does not depend on the number of rows.
        for one, rare in zip(cell.T, learned["rare"], strict=True):
            total = total + rare[one]
        return total[None]


def _cells(x: np.ndarray, low: np.ndarray, width: np.ndarray, bins: int) -> np.ndarray:
    """Return the bin of each value, (M, D). Values outside of all bins have the number `bins`."""
    place = (x - low) / width
    # Rounding may put the highest training value slightly above the last bin.
    outside = (place < 0) | (place > bins + _ROUNDING)
    return np.where(outside, bins, place.clip(0, bins - 1)).astype(int)
