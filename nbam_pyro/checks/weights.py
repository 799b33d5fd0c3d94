"""Weights of rows: their check, and the number of rows that they leave effectively."""

import numpy as np
import torch
from numpy.typing import ArrayLike

from nbam_pyro.checks.arguments import as_numbers
from nbam_pyro.checks.numbers import check_weights
from nbam_pyro.errors import DataError

__all__ = ["effective_rows", "row_weights"]


def row_weights(
    weights: ArrayLike | None, rows: int, *, codes: np.ndarray | None = None
) -> np.ndarray:
    """Return weights of rows as an array, (N,).

    Args:
        weights: Weights of the rows, (N,); None for weights of 1.
        rows: Number of rows N.
        codes: Position of the class of each row, (N,), if every class needs a weight above 0; None
            if one row with such a weight is enough.

    Raises:
        DataError: There is not one weight per row; a weight is negative, missing or infinite; or
            all rows, or all rows of a class, have weight 0.

    Example:
        >>> row_weights([1, 2], 2)
        array([1., 2.])
        >>> row_weights([1, 0], 2, codes=np.array([0, 1]))
        Traceback (most recent call last):
        nbam_pyro.errors.DataError: All rows of the class of row 1 have weight 0. Give some of them
        a weight above 0, or leave the class out.
    """
    if weights is None:
        return np.ones(rows)
    w = as_numbers(weights, "weights").astype(float)
    check_weights(torch.from_numpy(w), rows)
    if codes is not None:
        empty = np.flatnonzero(np.bincount(codes, weights=w) == 0)
        if len(empty):
            raise DataError(
                f"All rows of the class of row {int((codes == empty[0]).argmax())} have weight 0. "
                "Give some of them a weight above 0, or leave the class out."
            )
    return w


def effective_rows(weights: np.ndarray) -> float:
    """Return the effective number of rows, (sum w)^2 / sum w^2.

    Args:
        weights: Weights of rows, (N,), not all 0.

    Example:
        >>> effective_rows(np.array([1.0, 1.0, 0.0, 0.0]))
        2.0
    """
    return float(weights.sum() ** 2 / np.square(weights).sum())
