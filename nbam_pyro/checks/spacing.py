"""Median and scatter of columns of numbers, and checks that a type is fine enough for them."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from nbam_pyro.errors import DataError

__all__ = [
    "QUARTILES",
    "all_equal",
    "blocks",
    "check_spacing",
    "middles",
    "robust_widths",
    "too_coarse",
]

QUARTILES = 1.349
"""Interquartile range of a Normal, in standard deviations."""

# Largest spacing of numbers, as a share of a column's scatter.
_SHARE = 0.01
# Values that differ by at most this number of steps of their type are equal up to rounding.
_SAME = 2
# Largest number of values in a block.
_ENTRIES = 4_000_000


def blocks(x: np.ndarray) -> Iterator[slice]:
    """Yield the columns of a table in blocks that are small enough to copy.

    Args:
        x: Table whose columns to split into blocks, (N, D).

    Example:
        >>> list(blocks(np.zeros((2_000_000, 3))))
        [slice(0, 2, None), slice(2, 4, None)]
    """
    size = max(1, _ENTRIES // max(1, len(x)))
    for start in range(0, x.shape[1], size):
        yield slice(start, start + size)


def middles(x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, " d"]:
    """Return the lower median of every column.

    The lower median is one of the column's values; differences from it are therefore exact.

    Args:
        x: Finite numbers, (N, D).

    Example:
        >>> middles(np.array([[1.0], [9.0], [2.0], [3.0]]))
        array([2.])
    """
    medians: np.ndarray = np.sort(x, axis=0)[_place(len(x), 0.5)]
    return medians


def robust_widths(x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, " d"]:
    """Return the scatter of every column; up to a quarter of extreme values do not change it.

    The scatter is the interquartile range, divided by that of a Normal with standard deviation 1.
    If most values are equal, as in a column of zeros and ones, it is the median distance of the
    other values from this value.

    Args:
        x: Finite numbers, (N, D).

    Returns:
        Widths, (D,), positive, or 0 where all values of a column are equal.

    Example:
        >>> x = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [3.0, 0.0], [1e9, 2.0]])
        >>> robust_widths(x).round(2)
        array([1.48, 2.  ])
    """
    n = len(x)
    ordered = np.sort(x, axis=0)
    low, middle, high = (ordered[_place(n, share)] for share in (0.25, 0.5, 0.75))
    width = (high - low) / QUARTILES
    flat = np.flatnonzero(width == 0)
    if len(flat):
        distances = np.sort(np.abs(x[:, flat] - middle[flat]), axis=0)
        equal = (distances == 0).sum(0)
        place = np.minimum(equal + (n - equal) // 2, n - 1)
        width[flat] = distances[place, np.arange(len(flat))]
    return width


def all_equal(x: Float[np.ndarray, "n d"]) -> np.ndarray:
    """Return whether all values of a column are equal up to the last digit of their type, (D,).

    Args:
        x: Finite numbers, (N, D).

    Example:
        >>> all_equal(np.array([[0.1 + 0.2], [0.3]]))
        array([ True])
    """
    low, high = x.min(0), x.max(0)
    return high - low <= _SAME * np.spacing(np.maximum(np.abs(low), np.abs(high)))


def too_coarse(x: Float[np.ndarray, "n d"], kind: Any = np.float64) -> np.ndarray:
    """Return whether neighbouring numbers of a type lie too far apart for the scatter of a column.

    Args:
        x: Finite numbers, (N, D).
        kind: Floating-point type that will store the numbers.

    Returns:
        True where the spacing of numbers near the column's median is larger than a hundredth of its
        robust width, (D,); False for columns of equal values.

    Example:
        >>> x = 1e9 + np.arange(5.0)[:, None]
        >>> too_coarse(x, np.float32), too_coarse(x)
        (array([ True]), array([False]))
    """
    spacing = np.spacing(np.abs(middles(x)).astype(kind)).astype(np.float64)
    return (spacing > _SHARE * robust_widths(x)) & ~all_equal(x)


def check_spacing(
    x: np.ndarray, names: Sequence[object] | None = None, *, kind: Any = np.float64, mend: str = ""
) -> None:
    """Raise an error if the offset of a column is too large for a type to represent its scatter.

    Args:
        x: Finite features, (N, D), or one column, (N,).
        names: Names of the columns, which the error message shows; None to show column numbers
            (0, 1, ...).
        kind: Floating-point type that will store the numbers.
        mend: Text added to the error message that says how to fix the problem; empty for the
            default text.

    Raises:
        DataError: Neighbouring numbers of the type, near a column's median, lie further apart than
            a hundredth of the column's robust scatter.

    Example:
        >>> check_spacing(1e18 + 1000 * np.arange(5.0), ["time"])
        Traceback (most recent call last):
        nbam_pyro.errors.DataError: Column 'time' lies near 1e+18 and scatters by about ...
    """
    table = x[:, None] if x.ndim == 1 else x
    for block in blocks(table):
        bad = np.flatnonzero(too_coarse(table[:, block], kind))
        if not len(bad):
            continue
        j = block.start + int(bad[0])
        name = f"Column {j}" if names is None else f"Column {names[j]!r}"
        column = table[:, j : j + 1]
        middle, width = float(middles(column)[0]), float(robust_widths(column)[0])
        raise DataError(
            f"{name} lies near {middle:g} and scatters by about {width:.3g}, but numbers of type "
            f"{np.dtype(kind).name} are {float(np.spacing(kind(abs(middle)))):.3g} apart there: "
            + (mend or "its last digits are lost. Subtract a constant before they are stored.")
        )


def _place(n: int, share: float) -> int:
    return max(0, int(np.ceil(share * n)) - 1)
