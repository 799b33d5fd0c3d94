"""Standardised residuals in at most some hundred cells, for any number of rows."""

from dataclasses import dataclass

import numpy as np

__all__ = ["ResidualCells", "cells_of"]

# Up to this number of rows, each row has a cell of its own.
_CELLS = 400
# Larger standardised residuals say nothing more, and slow the sampler down.
_LARGEST = 1e3


@dataclass(frozen=True, kw_only=True)
class ResidualCells:
    """Residuals in units of their own robust scale, grouped with their neighbours.

    Attributes:
        values: Mean standardised residual of each cell, (K,), in rising order.
        counts: Number of rows in each cell, (K,).
        of_row: Index of the cell of each row, (N,).
        row_values: Standardised residual of each row, (N,).
        tied: Share of rows that have the most frequent residual.
    """

    values: np.ndarray
    counts: np.ndarray
    of_row: np.ndarray
    row_values: np.ndarray
    tied: float


def cells_of(residuals: np.ndarray) -> ResidualCells:
    """Standardise residuals by their median and their median absolute deviation, and group them.

    Both change little if less than half of the rows are contaminated. Cells at both ends contain
    single rows, because contaminated rows lie there.

    Args:
        residuals: Finite residuals, (N,).

    Example:
        >>> cells_of(np.array([0.0, 3.0, -3.0])).values.round(2)
        array([-0.67,  0.  ,  0.67])
    """
    scaled = residuals / 4  # Differences of the largest floating-point numbers would overflow.
    away = scaled - np.median(scaled)
    values = (away / _width(away)).clip(-_LARGEST, _LARGEST)
    count = len(values)
    order = np.argsort(values, kind="stable")
    rank = np.empty(count, dtype=int)
    rank[order] = np.arange(count)
    of_row = rank if count <= _CELLS else _group(rank, count)
    counts = np.bincount(of_row)
    repeats = np.unique(scaled, return_counts=True)[1]
    return ResidualCells(
        values=np.bincount(of_row, weights=values) / counts,
        counts=counts,
        of_row=of_row,
        row_values=values,
        tied=float(repeats.max() / count),
    )


def _width(away: np.ndarray) -> float:
    """Robust standard deviation, or another width if most residuals are equal."""
    size = abs(away)
    widths = (1.4826 * np.median(size), np.quantile(size, 0.9) / 1.645, size.max())
    return float(next((width for width in widths if width > 0), 1.0))


def _group(rank: np.ndarray, count: int) -> np.ndarray:
    """Index of the cell of each rank: single rows at both ends, equal steps of logits between."""
    logits = np.log((np.arange(count) + 0.5) / (count - np.arange(count) - 0.5))
    step = (logits[-1] - logits[0]) / _CELLS
    return np.unique(((logits - logits[0]) / step).astype(int), return_inverse=True)[1][rank]
