"""Wild values: numbers so far from the rest of their column that they are mistakes or codes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from nbam_pyro.spacing import blocks, middles, robust_widths

__all__ = ["WildValues", "column_limits", "describe_wild", "wild_values"]

# A wild value lies so many robust widths from the middle of its column ...
_FAR = 10.0
# ... and so many times as far as the next value towards the middle.
_GAP = 5.0
# At most this share of a column can be wild: more of them are a group of their own.
_MOST = 0.25
# So many columns and rows are named.
_NAMED = 3


@dataclass(frozen=True)
class WildValues:
    """The wild values of one column.

    Attributes:
        column: number of the column.
        rows: numbers of the rows, (W,).
        values: their values, (W,).
    """

    column: int
    rows: np.ndarray
    values: np.ndarray

    @property
    def sentinel(self) -> float | None:
        """The value that repeats among the wild ones, perhaps a code for a missing value."""
        values, counts = np.unique(self.values, return_counts=True)
        return float(values[counts.argmax()]) if counts.max() > 1 else None


def column_limits(
    x: Float[np.ndarray, "n d"],
) -> tuple[Float[np.ndarray, " d"], Float[np.ndarray, " d"]]:
    """The smallest and largest value that each column is taken to have, infinite by default.

    Values are wild where their distance from the median exceeds ten robust widths and, sorted,
    jumps to five times that of the next value inwards. A heavy tail has no such jump and stays.
    The limit lies one robust width beyond the furthest value that is not wild.

    Args:
        x: numbers, (N, D), finite.

    Returns:
        (low, high), (D,) each, in the units of the columns.

    Example:
        >>> low, high = column_limits(np.array([[0.0], [1.0], [2.0], [3.0], [99999.0]]))
        >>> low, high.round(1)
        (array([-inf]), array([5.5]))
    """
    lows, highs = [], []
    for block in blocks(x):
        low, high = _limits(x[:, block].astype(np.float64, copy=False))
        lows.append(low)
        highs.append(high)
    return np.concatenate(lows), np.concatenate(highs)


def _limits(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    n = len(x)
    middle, width = middles(x), robust_widths(x)
    unit = np.where(width > 0, width, 1.0)
    ordered = np.sort(np.abs(x - middle) / unit, axis=0)
    inner, outer = ordered[:-1], ordered[1:]
    jumps = (outer > _FAR) & (outer > _GAP * np.maximum(inner, _FAR / _GAP))
    place = jumps.argmax(0)  # the first jump: the place of the last value that is not wild
    is_wild = jumps.any(0) & (n - 1 - place <= _MOST * n) & (width > 0)
    furthest = ordered[place, np.arange(x.shape[1])]
    reach = unit * (furthest + 1)
    low, high = middle - reach, middle + reach
    return (
        np.where(is_wild & (x < low).any(0), low, -np.inf),
        np.where(is_wild & (x > high).any(0), high, np.inf),
    )


def wild_values(x: Float[np.ndarray, "n d"]) -> list[WildValues]:
    """The wild values of every column that has some.

    Args:
        x: features, (N, D), finite.

    Example:
        >>> x = np.arange(40.0).reshape(20, 2)
        >>> x[7, 1] = -999999
        >>> [(w.column, w.rows.tolist(), w.values.tolist()) for w in wild_values(x)]
        [(1, [7], [-999999.0])]
    """
    low, high = column_limits(x)
    found = []
    for j in np.flatnonzero(np.isfinite(low) | np.isfinite(high)):
        rows = np.flatnonzero((x[:, j] < low[j]) | (x[:, j] > high[j]))
        found.append(WildValues(int(j), rows, x[rows, j]))
    return found


def describe_wild(
    found: Sequence[WildValues],
    *,
    columns: Sequence[object] | None = None,
    rows: Sequence[object] | None = None,
) -> str:
    """One sentence that names wild values by column and row.

    Args:
        found: What `wild_values` returned, at least one column.
        columns: Names of the columns; None for their numbers.
        rows: Names of the rows; None for their numbers.

    Example:
        >>> describe_wild([WildValues(1, np.array([7]), np.array([-999.0]))], columns=["a", "b"])
        "Values far from all others: -999 in column 'b' (row 7)"
    """
    parts = []
    for one in found[:_NAMED]:
        column = one.column if columns is None else repr(columns[one.column])
        names = [str(row if rows is None else rows[row]) for row in one.rows[:_NAMED]]
        more = f" and {len(one.rows) - _NAMED} more" if len(one.rows) > _NAMED else ""
        values = np.unique(one.values)
        value = f"{values[0]:g}" if len(values) == 1 else f"{values[0]:g} to {values[-1]:g}"
        where = f"row{'s' if len(one.rows) > 1 else ''} {', '.join(names)}{more}"
        parts.append(f"{value} in column {column} ({where})")
    rest = f", and in {len(found) - _NAMED} more columns" if len(found) > _NAMED else ""
    return f"Values far from all others: {'; '.join(parts)}{rest}"
