"""Which rows count, and how often: weights of rows, and rows without a target."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import _check_sample_weight

from nbam_pyro.containers import unwrapped
from nbam_pyro.errors import DataError
from nbam_pyro.estimators.targets import Column, as_data_errors

__all__ = ["as_weights", "check_classes_count", "labelled"]


def labelled(
    y: Any, sample_weight: Any, rows: int, *, needed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The targets that a score is taken of: rows without one, or without weight, are left out.

    Args:
        y: Targets, (N,), NaN or None where missing.
        sample_weight: How many times each row counts, (N,); None for once.
        rows: N.
        needed: The smallest number of rows that have a score.

    Returns:
        The targets of the rows that count, (n,); which rows these are, (N,); their weights, (n,).

    Raises:
        DataError: Lengths differ, a weight is negative or missing, or too few rows count.
    """
    column = Column.of(y)
    if len(column) != rows:
        raise DataError(f"X has {rows} rows and y has {len(column)}; they must agree.")
    weights = as_weights(sample_weight, rows)
    used = column.present & (weights > 0)
    if used.sum() < needed:
        raise DataError(
            f"{int(used.sum())} of {rows} rows have a target and a weight; a score needs at least "
            f"{needed}: score other rows, or make folds in which each has labelled rows."
        )
    return column.values[used[column.present]], used, weights[used]


def as_weights(sample_weight: Any, rows: int) -> np.ndarray:
    """How many times each row counts, (N,) float64.

    Args:
        sample_weight: Weights, (N,), in any container; one number for all rows; None for 1.
        rows: N.

    Raises:
        DataError: A weight is missing, infinite, negative or no number, or lengths differ.
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
    """Check that every class has rows that count.

    Args:
        y: Labels of all rows that have one, (N,).
        used: Which of them have a weight above 0, (N,).

    Raises:
        DataError: All rows of a class weigh 0.
    """
    idle = np.setdiff1d(y, y[used])
    if len(idle):
        raise DataError(
            f"All rows of class {idle[0]!s} weigh 0, so nothing can be learned of it: give some of "
            "them a weight, or make these rows unlabelled (NaN or None)."
        )
