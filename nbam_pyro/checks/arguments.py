"""Conversion of numbers and labels from arrays, lists, tensors and frames."""

from collections.abc import Sequence
from numbers import Number
from typing import Any

import numpy as np
import pandas as pd
import torch

from nbam_pyro.checks.containers import unwrapped
from nbam_pyro.errors import DataError

__all__ = ["as_cells", "as_number", "as_numbers", "check_numbers"]


def as_numbers(values: Any, name: str) -> np.ndarray:
    """Return numbers as a NumPy array, with NaN where a number is missing.

    Single precision is kept, and True becomes 1.

    Args:
        values: Numbers of any shape. An array, lists (of lists), a tensor of any floating-point
            type, with or without a gradient graph, or a frame or column of pandas (nullable and
            Arrow types, too), polars or pyarrow.
        name: Name of the argument, which the error message shows.

    Returns:
        Integers, float32 or float64.

    Raises:
        DataError: Rows differ in length, or a value is not a number.

    Example:
        >>> as_numbers(pd.DataFrame({"a": [0.5, None]}, dtype="Float64"), "x").tolist()
        [[0.5], [nan]]
    """
    values = unwrapped(values)
    if isinstance(values, pd.DataFrame):
        return _of_frame(values, name)
    if isinstance(values, pd.Series | pd.Index):
        values = (
            values.to_numpy(dtype=float, na_value=np.nan)
            if _is_number(values.dtype)
            else (values.to_numpy(dtype=object))
        )
    array = _array(values, name)
    if array.dtype == object:
        return _of_objects(array, name)
    if array.dtype.kind == "b":
        return array.astype(np.int64)
    if array.dtype.kind not in "iuf":
        raise DataError(f"{name} has type {array.dtype}; expected numbers.")
    if array.dtype.kind == "f" and array.dtype not in (np.float32, np.float64):
        return array.astype(np.float32 if array.dtype.itemsize < 4 else np.float64)
    return array


def as_cells(values: Any) -> pd.Index | np.ndarray:
    """Return labels as the cells of a column, each with its own type (number or text).

    Args:
        values: Labels, (N,): an array, a list, a tensor, or a column of pandas, polars or pyarrow.
            Missing labels are None, NaN or NA.

    Returns:
        A pandas index; an array if labels do not have exactly one dimension.

    Example:
        >>> as_cells(["cat", None]).tolist()
        ['cat', None]
    """
    values = unwrapped(values)
    if isinstance(values, list | tuple):  # None among texts must not become a text.
        values = [one.item() if _is_scalar_of_array(one) else one for one in values]
        cells = np.empty(len(values), dtype=object)
        cells[:] = values
        nested = any(isinstance(one, list | tuple | np.ndarray) for one in values)
        values = np.asarray(values, dtype=object) if nested else cells
    elif not isinstance(values, pd.DataFrame) and not hasattr(values, "dtype"):
        values = np.asarray(values, dtype=object)
    if isinstance(values, pd.DataFrame | np.ndarray | torch.Tensor):
        values = _array(values, "labels")
        if values.ndim != 1:
            return values
    if _is_plain_number(values.dtype):
        return pd.Index(values)
    if isinstance(values.dtype, np.dtype) and values.dtype.kind == "M":
        values = pd.Index(values).astype(object)  # NumPy would convert dates to integers.
    # Without dtype=object, pandas would choose a type by the values.
    return pd.Index(values, dtype=object, tupleize_cols=False)


def as_number(value: Any, name: str) -> float:
    """Return one number of Python, NumPy or torch as a float.

    Args:
        value: The number.
        name: Name of the argument, which the error message shows.

    Raises:
        DataError: The value is not a single number.

    Example:
        >>> as_number(np.float32(2.5), "sharpness")
        2.5
    """
    single = value.item() if _is_scalar_of_array(value) else value
    if not isinstance(single, Number) or isinstance(single, bool | complex):
        raise DataError(f"{name} is {value!r}; expected one number.")
    return float(single)  # type: ignore[arg-type]


def check_numbers(values: np.ndarray, name: str, *, columns: Sequence[Any] | None = None) -> None:
    """Raise an error if a number is missing or infinite.

    Args:
        values: Numbers of any shape.
        name: Name of the argument, which the error message shows.
        columns: Names of the columns, which the error message shows; None to show column
            numbers (0, 1, ...).

    Raises:
        DataError: A number is missing or infinite; the message names the first place.
    """
    wrong = ~np.isfinite(values)
    if not wrong.any():
        return
    place = place_of(wrong, columns)
    raise DataError(
        f"{name} has {int(wrong.sum())} values that are missing or infinite, the first is "
        f"{values[wrong][0]} in {place}: leave such rows out."
    )


def place_of(wrong: np.ndarray, columns: Sequence[Any] | None = None) -> str:
    """Return the first place where a mask is True, in words.

    Args:
        wrong: Booleans, at least one of them True; the first axis is rows.
        columns: Names of the columns; None to show column numbers (0, 1, ...).

    Example:
        >>> place_of(np.array([[False, True]]), ["cat", "dog"])
        "row 0, column 'dog'"
    """
    row, *rest = (int(axis[0]) for axis in wrong.nonzero())
    if not rest:
        return f"row {row}"
    if len(rest) > 1:
        return f"row {row}, place {tuple(rest)}"
    return f"row {row}, column {rest[0] if columns is None else columns[rest[0]]!r}"


def _is_scalar_of_array(value: Any) -> bool:
    return isinstance(value, np.generic | np.ndarray | torch.Tensor) and not value.ndim


def _is_number(dtype: Any) -> bool:
    return pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_complex_dtype(dtype)


def _is_plain_number(dtype: Any) -> bool:
    return isinstance(dtype, np.dtype) and dtype.kind in "iuf"


def _array(values: Any, name: str) -> np.ndarray:
    if isinstance(values, torch.Tensor):
        return unwrapped(values)
    if isinstance(values, list | tuple) and any(isinstance(one, torch.Tensor) for one in values):
        values = [_array(one, name) if isinstance(one, torch.Tensor) else one for one in values]
    try:
        return np.asarray(values)
    except ValueError as error:
        raise DataError(f"The rows of {name} have different lengths.") from error


def _of_frame(frame: pd.DataFrame, name: str) -> np.ndarray:
    plain = all(_is_plain_number(dtype) for dtype in frame.dtypes)
    if plain:
        return frame.to_numpy()
    if all(_is_number(dtype) for dtype in frame.dtypes):
        return frame.to_numpy(dtype=np.float64, na_value=np.nan)
    return _of_objects(frame.to_numpy(dtype=object), name, list(frame.columns))


def _of_objects(values: np.ndarray, name: str, columns: Sequence[Any] | None = None) -> np.ndarray:
    """Convert cells of any number type, or a column of lists, to float64."""
    if (
        values.ndim == 1
        and len(values)
        and all(isinstance(one, list | tuple | np.ndarray | torch.Tensor) for one in values)
    ):
        return as_numbers(list(values), name)
    missing = np.asarray(pd.isna(values))
    wrong = np.array(
        [not isinstance(one, Number) or isinstance(one, complex) for one in values.flat],
        dtype=bool,
    ).reshape(values.shape)
    wrong &= ~missing
    if wrong.any():
        raise DataError(
            f"{name} has {values[wrong][0]!r} in {place_of(wrong, columns)}; expected numbers."
        )
    return np.where(missing, np.nan, values).astype(np.float64)
