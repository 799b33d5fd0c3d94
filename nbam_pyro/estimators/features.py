"""Conversion of features: arrays, lists, and tables with named columns."""

import math
import warnings
from collections.abc import Sequence
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import issparse

from nbam_pyro.checks.column import is_date
from nbam_pyro.checks.containers import unwrapped
from nbam_pyro.checks.numbers import check_finite
from nbam_pyro.checks.spacing import check_spacing
from nbam_pyro.checks.wild import describe_wild, wild_values
from nbam_pyro.errors import DataError, WildValueWarning

__all__ = ["as_features", "check_columns", "is_date"]

_MEND = "impute them, or drop the rows or the column"


def as_features(X: Any) -> Any:
    """Convert features to a form that scikit-learn's `validate_data` takes; errors name the column.

    Args:
        X: Features, (N, D), or images, (N, C, H, W): an array, a tensor, a list of rows, or a
            table from pandas, polars (also lazy) or Arrow. Booleans become 0 and 1.

    Returns:
        A DataFrame of float64 with column names if X is a table, else an array.

    Raises:
        DataError: A column holds dates, texts or other cells that are not numbers, or missing or
            infinite values; X is sparse; or the rows of a list have different lengths.

    Example:
        >>> as_features(pd.DataFrame({"ill": [True, False], "age": [61, 47]})).to_numpy().tolist()
        [[1.0, 61.0], [0.0, 47.0]]
    """
    X = unwrapped(X)
    if issparse(X):
        raise DataError("X is a sparse matrix, which is not supported. Give X.toarray().")
    if isinstance(X, pd.DataFrame):
        if (X.dtypes == np.float64).all():
            values = X.to_numpy()  # often without a copy, which many rows need
        else:
            values = np.empty(X.shape)
            for number, (name, column) in enumerate(X.items()):
                values[:, number] = _numbers(f"Column {name!r}", column, table=True)
        check_finite(values, "X", columns=list(X.columns), mend=_MEND)
        return pd.DataFrame(values, index=X.index, columns=X.columns, copy=False)
    return _array(X)


def _array(X: Any) -> Any:
    try:
        values = np.asarray(X)
    except ValueError as error:
        raise DataError(f"X is not a table of numbers: {_ragged(X) or error}.") from error
    if isinstance(X, list | tuple) and values.dtype.kind in "US":
        values = np.asarray(X, dtype=object)  # one text must not turn all numbers into texts
    if values.ndim < 2:
        return values
    flat = values.reshape(len(values), math.prod(values.shape[1:]))
    if values.dtype.kind in "mMUSO" and flat.size:
        parts = [_numbers(f"Column {n}", pd.Series(c), table=False) for n, c in enumerate(flat.T)]
        flat = np.stack(parts, -1)
        values = flat.reshape(values.shape)
    if values.dtype.kind == "f":
        check_finite(values, "X", mend=_MEND)
    return values


def _numbers(name: str, column: pd.Series, *, table: bool) -> np.ndarray:
    """Convert a column to float64, with NaN for missing cells.

    Cells of an array that are not numbers, texts or dates are returned unchanged; scikit-learn then
    raises an error for them.
    """
    if _is_numeric(column.dtype):
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    cells = column.to_numpy(dtype=object)
    present = ~pd.isna(cells)
    for cell in cells[present]:
        reason = _refusal(cell, table=table)
        if reason is not None:
            raise DataError(f"{name} of X holds {reason}.")
    numbers = np.full(len(cells), np.nan)
    try:
        numbers[present] = cells[present]
    except TypeError:
        return cells
    return numbers


def _is_numeric(dtype: Any) -> bool:
    numeric = pd.api.types.is_numeric_dtype(dtype) or pd.api.types.is_bool_dtype(dtype)
    return numeric and not isinstance(dtype, pd.CategoricalDtype) and dtype.kind in "biuf"


def _refusal(cell: Any, *, table: bool) -> str | None:
    """Return the reason why a cell is not a number; None if it is a number."""
    if isinstance(cell, Real | Decimal | np.bool_):
        return None
    if is_date(cell):
        return (
            f"dates or times such as {str(cell)!r}; convert them to meaningful numbers (days since "
            "a date, hour of the day), or drop the column"
        )
    if isinstance(cell, str | bytes):
        return (
            f"texts such as {cell!r}; encode categories (sklearn.preprocessing.OneHotEncoder), "
            "convert texts to numbers (pandas.to_numeric), or drop the column"
        )
    kind = type(cell).__name__
    if not table:
        return None
    return f"values of type {kind}, which are not numbers; convert them or drop the column"


def _ragged(X: Any) -> str | None:
    """Return the first difference in length between the rows of a list, as a text."""
    lengths = [len(row) if hasattr(row, "__len__") else 1 for row in X]
    other = next((n for n, length in enumerate(lengths) if length != lengths[0]), None)
    if other is None:
        return None
    return f"row 0 has {lengths[0]} values and row {other} has {lengths[other]}"


def check_columns(x: np.ndarray, names: Sequence[str] | None) -> None:
    """Check that columns keep their digits, and warn of values extremely far from the others.

    Args:
        x: Rows of a table, (N, D).
        names: Names of the columns, (D,). None if they have no names; messages then show column
            indices.

    Raises:
        DataError: A column lies so far from 0 that its last digits are lost.
    """
    check_spacing(x, names)
    wild = wild_values(x)
    if wild:
        warnings.warn(
            f"Values far from all others of their column: {describe_wild(wild, names)}. The "
            "network replaces them by the largest or smallest usual value of their column. Correct "
            "them, or leave out rows in which they stand for missing values.",
            WildValueWarning,
            stacklevel=5,
        )
