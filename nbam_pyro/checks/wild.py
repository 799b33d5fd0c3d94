"""Wild values: numbers so far from the rest of their column that they are mistakes or codes."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from nbam_pyro.checks.spacing import QUARTILES, blocks, middles, robust_widths

__all__ = ["WildValues", "column_limits", "describe_wild", "wild_values"]

# Smallest distance of a wild value from the median of its column, in robust widths.
_FAR = 10.0
# Smallest ratio of its distance to that of the next value towards the median.
_GAP = 5.0
# Largest share of a column's rows that can be wild; more rows are a group or a tail.
_MOST = 0.25
# Largest number of different wild values as a share of the rows, and its limits: this share may
# give too few in small tables and too many in large ones.
_DIFFERENT = 0.01
_SOME, _MANY = 3, 20
# If most values of a column are equal, its scatter is known from this number of other values.
_OTHERS = 4
# In tables of at least this number of rows, columns are looked at first by this number of rows.
_LARGE, _SAMPLE = 10_000, 2000
# Largest number of values and of rows that a message names.
_NAMED = 3


@dataclass(frozen=True)
class WildValues:
    """Wild values of one column.

    Attributes:
        column: Index of the column.
        rows: Indices of the rows, (W,).
        values: Wild value of each of the rows in `rows`, (W,).
    """

    column: int
    rows: np.ndarray
    values: np.ndarray


def column_limits(
    x: Float[np.ndarray, "n d"],
) -> tuple[Float[np.ndarray, " d"], Float[np.ndarray, " d"]]:
    """Return limits of each column, beyond which values are wild; infinite if no value is wild.

    A value is wild if its distance from the median is larger than ten robust widths and, in sorted
    order, at least five times that of the next value inwards. Values of a heavy tail are not wild,
    because a heavy tail has no such jump. Values of a group are not wild: at most a quarter of the
    rows can be wild, and the number of different wild values is limited. The limit is a hundredth
    of the number of rows, but at least three and at most 20. In small tables it is a tenth of the
    number of rows, and tables with fewer than ten rows have no wild values. The returned limit of a
    column lies one robust width beyond the furthest value that is not wild.

    Args:
        x: Finite numbers, (N, D).

    Returns:
        The lower limits (D,) and the upper limits (D,), in the units of the columns.

    Example:
        >>> low, high = column_limits(np.append(np.arange(10.0), 99999.0)[:, None])
        >>> low, high.round(1)
        (array([-inf]), array([14.4]))
    """
    lows, highs = np.full((2, x.shape[1]), [[-np.inf], [np.inf]])
    for block in blocks(x):
        columns = np.arange(x.shape[1])[block]
        if len(x) >= _LARGE:
            columns = columns[~_surely_none(x[:, block])]
        if len(columns):
            lows[columns], highs[columns] = _limits(x[:, columns].astype(np.float64, copy=False))
    return lows, highs


def _surely_none(x: np.ndarray) -> np.ndarray:
    """Return the columns of a large table whose range shows that they have no wild value, (D,).

    Quantiles of some rows bound the median and the robust width of all rows, after a count. This
    takes a fraction of the time of sorting.
    """
    n = len(x)
    sample = np.sort(x[:: n // _SAMPLE].astype(np.float64), axis=0)
    a, low, high, b = (sample[int(share * len(sample))] for share in (0.3, 0.45, 0.55, 0.7))
    bounded = (
        (np.count_nonzero(x < a, axis=0) > n / 4)
        & (np.count_nonzero(x > b, axis=0) > n / 4 + 1)
        & (np.count_nonzero(x < low, axis=0) < n / 2 - 1)
        & (np.count_nonzero(x > high, axis=0) < n / 2 - 1)
    )
    furthest = np.maximum(x.max(0) - low, high - x.min(0))
    none: np.ndarray = bounded & (furthest < _FAR * (b - a) / QUARTILES)
    return none


def _limits(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    n = len(x)
    most = min(max(min(_SOME, n // 10), int(_DIFFERENT * n)), _MANY)
    if not most:
        return np.full(x.shape[1], -np.inf), np.full(x.shape[1], np.inf)
    middle, width = middles(x), robust_widths(x)
    unit = np.where(width > 0, width, 1.0)
    ordered = np.sort(np.abs(x - middle) / unit, axis=0)
    inner, outer = ordered[:-1], ordered[1:]
    jumps = (outer > _FAR) & (outer > _GAP * np.maximum(inner, _FAR / _GAP))
    beyond = np.arange(n - 1, 0, -1)[:, None]  # Number of values beyond each place.
    different = np.cumsum((outer != inner)[::-1], axis=0)[::-1]
    jumps &= (beyond <= _MOST * n) & (different <= most)
    place = jumps.argmax(0)  # The first jump follows the last value that is not wild.
    equal = (ordered == 0).sum(0)
    known = (width > 0) & ((equal <= n // 2) | (n - equal >= _OTHERS))
    is_wild = jumps.any(0) & known
    furthest = ordered[place, np.arange(x.shape[1])]
    reach = unit * (furthest + 1)
    low, high = middle - reach, middle + reach
    return (
        np.where(is_wild & (x < low).any(0), low, -np.inf),
        np.where(is_wild & (x > high).any(0), high, np.inf),
    )


def wild_values(x: Float[np.ndarray, "n d"]) -> list[WildValues]:
    """Return the wild values of every column that has some.

    Args:
        x: Features, (N, D), NaN where they are missing.

    Example:
        >>> x = np.arange(40.0).reshape(20, 2)
        >>> x[7, 1] = -999999
        >>> [(w.column, w.rows.tolist(), w.values.tolist()) for w in wild_values(x)]
        [(1, [7], [-999999.0])]
    """
    low, high = np.full((2, x.shape[1]), [[-np.inf], [np.inf]])
    present = np.isfinite(x)
    whole = present.all(0)
    if len(x) and whole.any():
        low[whole], high[whole] = column_limits(x if whole.all() else x[:, whole])
    for j in np.flatnonzero(~whole & present.any(0)):
        low[j : j + 1], high[j : j + 1] = column_limits(x[present[:, j], j : j + 1])
    found = []
    for j in np.flatnonzero(np.isfinite(low) | np.isfinite(high)):
        rows = np.flatnonzero((x[:, j] < low[j]) | (x[:, j] > high[j]))
        found.append(WildValues(int(j), rows, x[rows, j]))
    return found


def describe_wild(found: Sequence[WildValues], columns: Sequence[object] | None = None) -> str:
    """Return a text that names wild values by column and row.

    If a value occurs several times, the text adds that this may be a code for missing values.

    Args:
        found: Result of `wild_values`, at least one column.
        columns: Names of the columns; None to show column numbers (0, 1, ...).

    Example:
        >>> describe_wild([WildValues(1, np.array([7]), np.array([-999.0]))], ["a", "b"])
        "-999 in column 'b' (row 7)"
    """
    rows = defaultdict(set)
    for one in found:
        for row, value in zip(one.rows.tolist(), one.values.tolist(), strict=True):
            rows[value].add(row)
    # Values that occur several times come last, because a note follows them.
    ordered = sorted(rows, key=lambda value: len(rows[value]) > 1)
    parts = []
    for value in ordered[:_NAMED]:
        places = [
            f"{one.column if columns is None else repr(columns[one.column])} "
            f"({_rows(one.rows[one.values == value])})"
            for one in found
            if (one.values == value).any()
        ]
        word = "column" if len(places) == 1 else "columns"
        code = ", perhaps a code for missing values" if len(rows[value]) > 1 else ""
        parts.append(f"{value:.10g} in {word} {_some(places)}{code}")
    rest = len(ordered) - _NAMED
    return "; ".join(parts) + (f"; and more values: {rest}" if rest > 0 else "")


def _rows(rows: np.ndarray) -> str:
    return f"row{'s' if len(rows) > 1 else ''} {_some([str(row) for row in rows])}"


def _some(parts: Sequence[str]) -> str:
    more = len(parts) - _NAMED
    return ", ".join(parts[:_NAMED]) + (f" and {more} more" if more > 0 else "")
