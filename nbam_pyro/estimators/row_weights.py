"""Weights of rows, and leaving out rows without a target or weight."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import _check_sample_weight

from nbam_pyro.checks.column import Column, as_data_errors
from nbam_pyro.checks.containers import unwrapped
from nbam_pyro.errors import DataError

__all__ = ["as_weights", "check_classes_count", "labelled"]


def labelled(
    y: Any, sample_weight: Any, rows: int, *, needed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Select the rows for a score: the rows with a target and a weight above 0.

    Args:
        y: Targets, (N,); NaN or None where a target is missing.
        sample_weight: Weight of each row, (N,). None means weight 1 for every row.
        rows: Number of rows N.
        needed: Smallest number of rows that the score needs.

    Returns:
        Targets of the selected rows, (n,); a mask of the selected rows, (N,); their weights, (n,).

    Raises:
        DataError: Lengths differ, a weight is negative or missing, or too few rows are left.
    """
    column = Column.of(y)
    if len(column) != rows:
        raise DataError(f"X has {rows} rows, but y has {len(column)}. They must agree.")
    weights = as_weights(sample_weight, rows)
    used = column.present & (weights > 0)
    if used.sum() < needed:
        raise DataError(
            f"{int(used.sum())} of {rows} rows have a target and a weight above 0. A score needs "
            f"at least {needed}. Score other rows, or use folds that all have labelled rows."
        )
    return column.values[used[column.present]], used, weights[used]


def as_weights(sample_weight: Any, rows: int) -> np.ndarray:
    """Convert weights of rows to an array, (N,) float64.

    Args:
        sample_weight: Weights, (N,), in any container, or one number for all rows. None means
            weight 1 for every row.
        rows: Number of rows N.

    Raises:
        DataError: A weight is missing, infinite, negative or not a number, or lengths differ.
    """
    values = unwrapped(sample_weight)
    if isinstance(values, pd.Series | list | tuple):  # which may hold None and NA
        values = pd.Series(values).to_numpy(dtype=object, na_value=np.nan)
    with as_data_errors():
        weights: np.ndarray = _check_sample_weight(
            values, np.empty((rows, 1)), dtype=np.float64, ensure_non_negative=True
        )
    return weights


def check_classes_count(y: np.ndarray, used: np.ndarray) -> None:
    """Check that every class has rows with a weight above 0.

    Args:
        y: Labels of all rows that have one, (n,).
        used: True where the weight of the row is above 0, (n,).

    Raises:
        DataError: All rows of a class have weight 0.
    """
    idle = np.setdiff1d(y, y[used])
    if len(idle):
        raise DataError(
            f"All rows of class {idle[0]!s} have weight 0, so the class cannot be learned. Give "
            "some of them a weight above 0, or remove their labels (NaN or None)."
        )
