"""Contamination of measurements: shifts and gross errors."""

from dataclasses import dataclass

import numpy as np

from nbam_pyro.checks.arguments import check_numbers
from nbam_pyro.data.corruption import Corruption
from nbam_pyro.errors import DataError

__all__ = ["GrossErrors", "Shift"]


@dataclass(frozen=True)
class Shift(Corruption):
    """Measurements that are shifted by a constant; the observed values are floats.

    Args:
        by: Number that is added, in units of y. Its sign is the direction.

    Raises:
        DataError: The shift is 0 or not finite, or the values are not finite numbers.

    Example:
        >>> from nbam_pyro.data import contaminate
        >>> contaminate(np.array([1.0, 2.0, 3.0]), Shift(by=-10.0), rate=0.34, seed=0).observed
        array([ 1.,  2., -7.])
    """

    by: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.by) and self.by != 0):
            raise DataError(f"by is {self.by}; it must be finite and not 0.")

    def groups(self, values: np.ndarray) -> list[np.ndarray]:
        _require_numbers(values)
        return super().groups(values)

    def corrupt(self, values: np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return values + float(self.by)


@dataclass(frozen=True)
class GrossErrors(Corruption):
    """Measurements y that are replaced by distant values, y + s scale (1 + e), which are floats.

    The sign s is -1 or 1 with equal probability, and e ~ Exponential(1). Every error is larger than
    the scale. The mean size of errors is twice the scale, and their size has no upper limit.

    Args:
        scale: Lower limit of the size of an error, in units of y, positive.

    Raises:
        DataError: The scale is not positive and finite, or the values are not finite numbers.

    Example:
        >>> from nbam_pyro.data import contaminate
        >>> contaminate(np.zeros(4), GrossErrors(scale=5.0), rate=0.5, seed=4).observed.round(1)
        array([9.7, 0. , 0. , 5.7])
    """

    scale: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.scale) and self.scale > 0):
            raise DataError(f"scale is {self.scale}; it must be positive and finite.")

    def groups(self, values: np.ndarray) -> list[np.ndarray]:
        _require_numbers(values)
        return super().groups(values)

    def corrupt(self, values: np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        sign = rng.choice([-1.0, 1.0], size=len(values))
        error = self.scale * sign * (1 + rng.exponential(size=len(values)))
        return (values + error).astype(values.dtype if values.dtype.kind == "f" else float)


def _require_numbers(values: np.ndarray) -> None:
    if values.dtype.kind not in "iuf":
        raise DataError(f"Values of type {values.dtype} are not measurements. Give numbers.")
    check_numbers(values, "values")
