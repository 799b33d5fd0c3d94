"""Features brought to [0, 1]."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Range:
    """What every feature is less, and what it is divided by.

    Backbones have no biases: rows around 0 would differ in nothing but their direction, so rows are
    brought to [0, 1] and not centred.

    Attributes:
        low: (D,), or (1,) for images, which are taken as they are.
        width: of the same shape.
    """

    low: np.ndarray
    width: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray) -> "Range":
        """From training rows, (N, D); a feature that is constant keeps its unit.

        Example:
            >>> scale = Range.of(np.array([[1.0, 5.0], [3.0, 5.0]], np.float32))
            >>> scale(np.array([[2.0, 6.0]], np.float32))
            array([[0.5, 1. ]], dtype=float32)
        """
        if x.ndim > 2:
            return cls.none()
        width = np.ptp(x, 0)
        return cls(x.min(0), np.where(width > 0, width, np.float32(1)))

    @classmethod
    def none(cls) -> "Range":
        """Which leaves rows as they are."""
        return cls(np.zeros(1, np.float32), np.ones(1, np.float32))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Rows in that range, (N, D)."""
        return (x - self.low) / self.width
