"""Single cells, and values that stand for missing ones, that lie far from the rest of a column."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nbam_pyro.files.messages import counted

__all__ = ["Sentinel", "Wild", "WildCell", "wild_cells"]

# Far is so many robust widths from the nearest of the other values.
_WIDTHS = 10
# Fewer cells than this have no width to speak of.
_FEWEST = 10
# So many of the widest gaps are tried: a wide one may be wide only beside a wider one.
_TRIES = 4
# More different values than this are a tail, not a few wild cells.
_MOST = 20
# Quartiles of a Normal are so many standard deviations apart.
_QUARTILES = 1.349


@dataclass(frozen=True)
class WildCell:
    """A cell far from the rest of its column.

    Attributes:
        row: The row, counted from 0.
        column: The name of the column.
        value: What the cell holds.
    """

    row: int
    column: str
    value: float


@dataclass(frozen=True)
class Sentinel:
    """A value far from the rest that occurs in several rows, as codes for missing cells do.

    Attributes:
        value: The value.
        columns: How many rows hold it, by the name of the column.
    """

    value: float
    columns: dict[str, int]


@dataclass(frozen=True)
class Wild:
    """What lies far from the rest in a table.

    Attributes:
        cells: Wild cells, by row.
        sentinels: Values that repeat, by value.
    """

    cells: tuple[WildCell, ...]
    sentinels: tuple[Sentinel, ...]

    def notes(self, file: str) -> list[str]:
        """One sentence on the wild rows and one on the sentinels, if there are any.

        Args:
            file: The name of the file.
        """
        notes = []
        if self.cells:
            rows: dict[int, list[WildCell]] = defaultdict(list)
            for cell in self.cells:
                rows[cell.row].append(cell)
            named = [f"row {row} ({_some(_cells(cells), 3)})" for row, cells in rows.items()]
            notes.append(
                f"{file} has cells far from the rest of their columns: {_some(named, 5)}; check "
                "these rows"
            )
        if self.sentinels:
            named = [f"{one.value:.10g} in {_some(_counts(one), 5)}" for one in self.sentinels]
            notes.append(
                f"{file} has values that repeat far from the rest of their columns: "
                f"{_some(named, 3)}; if they stand for missing values, leave those cells empty"
            )
        return notes


def wild_cells(x: np.ndarray, names: Sequence[str]) -> Wild:
    """Find the cells that lie ten robust widths from the rest of their column.

    The width is that of the quartiles, or, where the quartiles are equal, the typical distance of
    the other values from the median. Far values are few different ones: three, one in small
    tables, and in large ones a hundredth of the rows, but at most 20. A far value that occurs in
    several rows of the table is a sentinel.

    Args:
        x: Numbers, (N, D), NaN where cells are missing.
        names: Names of the columns, (D,).

    Returns:
        The wild cells and the sentinels.

    Example:
        >>> x = np.append(np.arange(50.0), [99999.0, -999.0, -999.0])[:, None]
        >>> wild = wild_cells(x, ["size"])
        >>> wild.cells
        (WildCell(row=50, column='size', value=99999.0),)
        >>> wild.notes("a.csv")[1]
        "a.csv has values that repeat far from the rest of their columns: -999 in 'size' (2 rows);
        if they stand for missing values, leave those cells empty"
    """
    cells = [
        WildCell(row, name, value)
        for column, name in zip(x.T, names, strict=True)
        for row, value in _far(column)
    ]
    rows: dict[float, set[int]] = defaultdict(set)
    for cell in cells:
        rows[cell.value].add(cell.row)
    repeated: dict[float, dict[str, int]] = {}
    for cell in cells:
        if len(rows[cell.value]) > 1:
            counts = repeated.setdefault(cell.value, {})
            counts[cell.column] = counts.get(cell.column, 0) + 1
    alone = [cell for cell in cells if cell.value not in repeated]
    return Wild(
        tuple(sorted(alone, key=lambda cell: cell.row)),
        tuple(Sentinel(value, repeated[value]) for value in sorted(repeated)),
    )


def _far(column: np.ndarray) -> list[tuple[int, float]]:
    """The rows of a column whose values lie far from the rest, and these values."""
    values = np.sort(column[np.isfinite(column)])
    if len(values) < _FEWEST:
        return []
    most = min(max(1, min(3, len(values) // 20), len(values) // 100), _MOST)
    far: list[float] = []
    while (split := _split(values, most - len(far))) is not None:
        outside, values = split
        far += np.unique(outside).tolist()
    if not far:
        return []
    rows = np.flatnonzero(np.isin(column, far))
    return list(zip(rows.tolist(), column[rows].tolist(), strict=True))


def _split(values: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Few values beyond one of the widest gaps, and the rest; None where there are none."""
    gaps = np.diff(values)
    if len(gaps) < _TRIES:
        return None
    widest = np.argpartition(gaps, -_TRIES)[-_TRIES:]
    for place in widest[np.argsort(-gaps[widest], kind="stable")]:
        below, above = values[: place + 1], values[place + 1 :]
        outside, rest = (below, above) if len(below) < len(above) else (above, below)
        width = _width(rest)
        few = len(np.unique(outside)) <= most and 2 * len(outside) < len(values)
        if few and width > 0 and gaps[place] > _WIDTHS * width:
            return outside, rest
    return None


def _width(values: np.ndarray) -> float:
    """A robust standard deviation of sorted values, 0 where too few differ."""
    n = len(values)
    width = float(values[(3 * n) // 4] - values[n // 4]) / _QUARTILES
    if width > 0:
        return width
    distances = np.abs(values - values[n // 2])
    others = distances[distances > 0]
    return float(np.median(others)) if len(others) >= 4 else 0.0


def _cells(cells: list[WildCell]) -> list[str]:
    return [f"{cell.column!r} is {cell.value:.10g}" for cell in cells]


def _counts(sentinel: Sentinel) -> list[str]:
    return [f"{name!r} ({counted(rows, 'row')})" for name, rows in sentinel.columns.items()]


def _some(parts: list[str], most: int) -> str:
    rest = len(parts) - most
    return ", ".join([*parts[:most], f"and {rest} more"] if rest > 0 else parts)
