"""Counts of scores in cells, a short table that replaces any number of scores with any ties."""

from dataclasses import dataclass

import numpy as np

__all__ = ["Cells", "cells_of"]

# The lowest scores share one cell, because their shape says nothing about anomalies.
_LOWEST = 0.05
# Cells contain this share of the rows, up to the share of rows where narrow cells start.
_STEP, _TAIL = 0.02, 0.95
_TAIL_CELLS, _SINGLE = 24, 5
# Smaller differences of standardised scores are rounding errors.
_DIGITS = 9
# Larger standardised scores say nothing more, and would overflow.
_LARGEST = 1e100


@dataclass(frozen=True, kw_only=True)
class Cells:
    """Counts of scores in K consecutive intervals.

    Attributes:
        edges: Standardised scores between two cells, (K - 1,), in rising order.
        counts: Number of rows in each cell, (K,).
        of_row: Index of the cell of each row, (N,).
    """

    edges: np.ndarray
    counts: np.ndarray
    of_row: np.ndarray


def cells_of(scores: np.ndarray, *, lone: int = 0) -> Cells:
    """Count scores in cells that are bounded by quantiles and become narrow at the high end.

    Rows with equal scores are in the same cell. An edge lies halfway between two scores. Edges are
    standardised by the median and by its distance from the 10 % quantile, because anomalies change
    these little.

    Args:
        scores: Finite scores, (N,).
        lone: Number of highest scores that do not share a cell with lower ones.

    Example:
        >>> cells_of(np.array([0.0, 1.0, 1.0, 4.0])).counts
        array([1, 2, 1])
    """
    # Values near the largest floating-point number would overflow in differences.
    scores = scores / (abs(scores).max() or 1.0)
    ordered = np.sort(scores)
    first = _first_of_cells(ordered, lone)
    edges = (ordered[first - 1] + ordered[first]) / 2
    of_row = np.searchsorted(ordered[first], scores, side="right")
    middle, width = _standard(ordered)
    return Cells(
        edges=((edges - middle) / width).clip(-_LARGEST, _LARGEST).round(_DIGITS),
        counts=np.bincount(of_row, minlength=len(first) + 1),
        of_row=of_row,
    )


def _first_of_cells(ordered: np.ndarray, lone: int) -> np.ndarray:
    """Places of sorted scores where a cell starts, except the first cell."""
    count = len(ordered)
    shares = np.concatenate(
        [
            np.arange(_LOWEST, _TAIL, _STEP),
            1 - np.geomspace(1 - _TAIL, min(1 - _TAIL, 1 / count), _TAIL_CELLS),
            1 - np.r_[np.arange(1, _SINGLE + 1), lone or 1] / count,
        ]
    )
    places = np.round(shares * count).astype(int).clip(0, count - 1)
    first = np.unique(np.searchsorted(ordered, ordered[places]))
    if ordered[first[0]] == ordered[0]:
        # The lowest scores are tied; the next score starts a cell.
        first[0] = np.searchsorted(ordered, ordered[0], side="right")
    return np.unique(first[first < count])


def _standard(ordered: np.ndarray) -> tuple[float, float]:
    """Median of sorted scores, and a standard deviation that high scores change little."""
    low, middle, upper = np.quantile(ordered, [0.1, 0.5, 0.75])
    widths = ((middle - low) / 1.282, (upper - middle) / 0.674, ordered.std())
    smallest = np.finfo(float).eps * max(abs(middle), 1e-300)
    return float(middle), float(next((width for width in widths if width > 8 * smallest), 1.0))
