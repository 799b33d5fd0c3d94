"""The encoding of arrays: every row must have the shape of the training rows."""

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from nbam_pyro.cli.files.messages import counted, problem
from nbam_pyro.cli.files.precision import rounded
from nbam_pyro.cli.files.source import Encoded, Features, wrong_kind

__all__ = ["ArrayShape"]


@dataclass(frozen=True)
class ArrayShape:
    """The shape of a row of X.

    Attributes:
        shape: (D,) for features, or (C, H, W) for images.

    Example:
        >>> ArrayShape.of(np.zeros((5, 3))).encode(np.ones((2, 3))).x.shape
        (2, 3)
    """

    shape: tuple[int, ...]
    kind: Literal["array"] = field(default="array", repr=False)

    def __post_init__(self) -> None:
        if len(self.shape) not in (1, 3) or math.prod(self.shape) < 1 or min(self.shape) < 1:
            raise problem(
                f"Rows of X have shape {self.shape}. Give X the shape (rows, features), or "
                "(rows, channels, height, width) for images."
            )

    @classmethod
    def of(cls, x: Features) -> "ArrayShape":
        """Take the shape of the rows of a training array.

        Args:
            x: Features, (N, D), or images, (N, C, H, W).

        Raises:
            DataError: The array does not hold numbers, or it has neither two nor four axes.
        """
        return cls(_of_numbers(x).shape[1:])

    def encode(self, x: Features) -> Encoded:
        """Convert an array to float64 (features) or float32 (images), without scaling it.

        Args:
            x: Features, (N, D), or images, (N, C, H, W), with rows of the training shape.

        Raises:
            DataError: The shape differs, or values are missing, infinite or not numbers.
        """
        array = _of_numbers(x)
        if array.shape[1:] != self.shape:
            raise problem(
                f"Rows of X have shape {array.shape[1:]}, but had shape {self.shape} in training. "
                "Give rows of that shape."
            )
        with np.errstate(over="ignore"):
            values = array.astype(np.float64 if len(self.shape) == 1 else np.float32)
        bad = np.flatnonzero(~np.isfinite(values.reshape(len(values), -1)).all(axis=1))
        if len(bad):
            raise problem(
                f"X has missing or infinite values in {counted(len(bad), 'row')}, the first in row "
                f"{bad[0]}. Fill them in, or leave these rows out."
            )
        if len(self.shape) == 3:
            return Encoded(values)
        lost = rounded(array.ravel(), values.ravel())
        return Encoded(values, [] if lost is None else [f"array X: {lost}"])


def _of_numbers(x: Features) -> np.ndarray:
    if not isinstance(x, np.ndarray):
        raise wrong_kind(x, expected="an array")
    if x.dtype.kind not in "biuf":
        raise problem(f"X has type {x.dtype}. Convert it to numbers.")
    return x
