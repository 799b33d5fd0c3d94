"""Features brought to one range, whatever their units."""

from dataclasses import dataclass

import numpy as np

# Shares of the training rows below and above what is brought to the range.
_TAILS = (0.01, 0.99)
_LOWEST = 0.25
# Energies of larger numbers would overflow.
_FURTHEST = 1e4


@dataclass(frozen=True, eq=False)
class Range:
    """What every feature is less, and what it is divided by.

    The middle 98% of the training rows come to lie in [0.25, 1.25]; a few extreme values do not
    decide where the others are, and what is further away than 10,000 such widths counts as so far
    away. Rows are not centred: where networks have no biases, rows around 0 differ in nothing but
    their direction.

    Attributes:
        low: (D,), or (1,) for images, which are taken as they are.
        width: of the same shape.
        furthest: largest absolute value that comes out, ().
    """

    low: np.ndarray
    width: np.ndarray
    furthest: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray) -> "Range":
        """From training rows, (N, D).

        A feature of which 98% are equal is scaled by its whole range; one that is constant keeps
        its unit.

        Example:
            >>> scale = Range.of(np.array([[1.0, 5.0], [3.0, 5.0]]))
            >>> scale(np.array([[2.0, 6.0]])).round(3)
            array([[0.75, 1.25]])
        """
        if x.ndim > 2:
            return cls.none()
        low, high = np.quantile(x, _TAILS, axis=0)
        width = high - low
        for instead in (np.ptp(x, 0), 1.0):
            width = np.where(width > 0, width, instead)
        return cls(low - _LOWEST * width, width, np.array(_FURTHEST))

    @classmethod
    def none(cls) -> "Range":
        """Which leaves rows as they are."""
        return cls(np.zeros(1, np.float32), np.ones(1, np.float32), np.array(np.inf, np.float32))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Rows in that range, (N, D)."""
        return np.clip((x - self.low) / self.width, -self.furthest, self.furthest)
