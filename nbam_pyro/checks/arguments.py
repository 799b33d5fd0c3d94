"""Numbers and labels as people have them: arrays, lists, tensors, and frames of any library."""

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
    """Numbers as a NumPy array, NaN where one is missing; single precision stays so, True is 1.

    Args:
        values: Numbers of any shape: an array, lists (of lists), a tensor of any floating-point
            type, with or without a gradient graph, or a frame or column of pandas (nullable and
            Arrow types too), polars or pyarrow.
        name: The name of the argument, for the message.

    Returns:
        integers, float32 or float64.

    Raises:
        DataError: Rows differ in length, or something is no number.

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
        raise DataError(f"{name} is of type {array.dtype}; expected numbers.")
    if array.dtype.kind == "f" and array.dtype not in (np.float32, np.float64):
        return array.astype(np.float32 if array.dtype.itemsize < 4 else np.float64)
    return array


def as_cells(values: Any) -> pd.Index | np.ndarray:
    """Labels as cells of a column, each still a number or a text of its own; an array if not flat.

    Args:
        values: Labels, (N,): an array, a list, a tensor, or a column of pandas, polars or pyarrow;
            None, NaN or NA where one is missing.

    Example:
        >>> as_cells(["cat", None]).tolist()
        ['cat', None]
    """
    values = unwrapped(values)
    if isinstance(values, list | tuple):  # None among texts must not become a text
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
        values = pd.Index(values).astype(object)  # NumPy would make integers of dates
    # pandas would make types of its own of what it meets.
    return pd.Index(values, dtype=object, tupleize_cols=False)


def as_number(value: Any, name: str) -> float:
    """One number, of Python, NumPy or torch, as a float.

    Args:
        value: The number.
        name: The name of the argument, for the message.

    Raises:
        DataError: It is no single number.

    Example:
        >>> as_number(np.float32(2.5), "sharpness")
        2.5
    """
    single = value.item() if _is_scalar_of_array(value) else value
    if not isinstance(single, Number) or isinstance(single, bool | complex):
        raise DataError(f"{name} is {value!r}; expected one number.")
    return float(single)  # type: ignore[arg-type]


def check_numbers(values: np.ndarray, name: str, *, columns: Sequence[Any] | None = None) -> None:
    """Refuse numbers that are missing or infinite.

    Args:
        values: Numbers of any shape.
        name: The name of the argument, for the message.
        columns: Names of the columns, for the message; None for their numbers.

    Raises:
        DataError: One is; the message names the first place.
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
    """The first place where something is true, in words.

    Args:
        wrong: Booleans of which at least one is true, rows first.
        columns: Names of the columns; None for their numbers.

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
    """Numbers of any type in cells, or a column of lists."""
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
