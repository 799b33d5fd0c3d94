"""The rows of a selection: scores, nuisances, weights and thresholds."""

import numpy as np
from numpy.typing import ArrayLike

from nbam_pyro.checks.arguments import as_numbers
from nbam_pyro.checks.numbers import check_finite
from nbam_pyro.checks.weights import row_weights
from nbam_pyro.errors import DataError

__all__ = ["check_some", "column_of", "selection", "threshold_at"]


def threshold_at(scores: np.ndarray, w: np.ndarray, efficiency: float) -> float:
    """Return the score above which the given share of the weight lies, or less with equal scores.

    Args:
        scores: Scores of background rows, (N,).
        w: Weights of the rows, (N,).
        efficiency: Share of the weight, above 0 and up to 1.

    Raises:
        DataError: The share is out of its range.

    Example:
        >>> threshold_at(np.arange(10.0), np.ones(10), 0.2)
        7.0
    """
    if not 0 < efficiency <= 1:
        raise DataError(f"An efficiency is {efficiency}; give shares above 0, up to 1.")
    if efficiency == 1:
        return -np.inf
    order = np.argsort(scores, kind="stable")
    below = np.cumsum(w[order])
    # A rounding error must not move a threshold that lies exactly at a row.
    at = np.searchsorted(below, (1 - efficiency) * below[-1] * (1 - 1e-12))
    return float(scores[order][min(at, len(scores) - 1)])


def selection(
    nuisance: ArrayLike, passed: ArrayLike, weights: ArrayLike | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the rows with a weight above 0: nuisance, whether they pass, and weights.

    Args:
        nuisance: Nuisance of background rows, (N,).
        passed: Booleans that mark the rows that pass, (N,).
        weights: Weights of the rows, (N,); None for weights of 1.

    Raises:
        DataError: No row passes or no row fails, shapes differ, or a number is not finite.
    """
    u = column_of(nuisance, "nuisance")
    mask = np.asarray(passed)
    if mask.shape != u.shape or mask.dtype != bool:
        raise DataError(
            f"passed has shape {mask.shape} and type {mask.dtype}; give a boolean for each of "
            f"{len(u)} rows."
        )
    w = row_weights(weights, len(u))
    u, mask, w = u[w > 0], mask[w > 0], w[w > 0]
    if mask.all() or not mask.any():
        raise DataError(
            f"{int(mask.sum())} of {len(mask)} rows pass. Give a selection that some rows pass and "
            "some fail."
        )
    return u, mask, w


def column_of(values: ArrayLike, name: str) -> np.ndarray:
    """Return one column of finite numbers, (N,).

    Args:
        values: Numbers, (N,).
        name: Name of the values, which the error message shows.

    Raises:
        DataError: The values have another shape, or are missing or infinite.
    """
    column = as_numbers(values, name).astype(float)
    if column.ndim != 1 or not len(column):
        raise DataError(f"{name} has shape {column.shape}; give (N,) with at least one row.")
    check_finite(column, name)
    return column


def check_some(share: float, efficiency: float, rows: int) -> None:
    """Raise an error if no row passes a threshold.

    Args:
        share: Share of the rows that pass.
        efficiency: Share that was asked for.
        rows: Number of background rows.

    Raises:
        DataError: The share is 0.
    """
    if not share:
        raise DataError(
            f"No row passes at an efficiency of {efficiency} with {rows} background rows. Give a "
            "larger efficiency or more rows; equal scores pass or fail together."
        )
