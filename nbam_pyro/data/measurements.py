"""Errors of measurement: shifts and gross errors."""

from dataclasses import dataclass

import numpy as np

from nbam_pyro.checks.arguments import check_numbers
from nbam_pyro.data.corruption import Corruption
from nbam_pyro.errors import DataError

__all__ = ["GrossErrors", "Shift"]


@dataclass(frozen=True)
class Shift(Corruption):
    """Measurements that are off by a constant, all in one direction; they come back as floats.

    Args:
        by: what is added, in units of y; its sign is the direction.

    Raises:
        DataError: the shift is 0 or not finite; the values are not finite
            numbers.

    Example:
        >>> from nbam_pyro.data import contaminate
        >>> contaminate(np.array([1.0, 2.0, 3.0]), Shift(by=-10.0), rate=0.34, seed=0).observed
        array([ 1.,  2., -7.])
    """

    by: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.by) and self.by != 0):
            raise DataError(f"by is {self.by}; a shift is a finite number other than 0.")

    def groups(self, values: np.ndarray) -> list[np.ndarray]:
        _require_numbers(values)
        return super().groups(values)

    def corrupt(self, values: np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return values + float(self.by)


@dataclass(frozen=True)
class GrossErrors(Corruption):
    """Measurements replaced by far-off ones, y + s scale (1 + e); they come back as floats.

    The sign s is -1 or 1, each as probable, and e ~ Exponential(1), so that every error is larger
    than the scale, twice as large in the mean, and has no largest value.

    Args:
        scale: the smallest error, in units of y, positive.

    Raises:
        DataError: the scale is not positive and finite; the values are not finite
            numbers.

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
        raise DataError(f"Values of type {values.dtype} are no measurements; give numbers.")
    check_numbers(values, "values")
