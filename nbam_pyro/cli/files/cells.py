"""What the cells of a column are, judged by what they hold."""

from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd

from nbam_pyro.cli.files.messages import problem

__all__ = ["CellKind", "cell_kind", "numbers", "texts"]

CellKind: TypeAlias = Literal["numbers", "texts", "nothing"]


def cell_kind(column: pd.Series, *, name: str) -> CellKind:
    """Whether a column holds numbers (booleans too), texts (categories too) or nothing at all.

    Args:
        column: The cells.
        name: The name of the column, for the error.

    Raises:
        DataError: The cells are dates, lists, bytes or another thing that is neither.

    Example:
        >>> cell_kind(pd.Series([True, None]), name="a"), cell_kind(pd.Series(["x"]), name="b")
        ('numbers', 'texts')
    """
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf":
        # Without pandas, which takes its time: there may be many thousand columns of numbers.
        return "nothing" if np.isnan(column.to_numpy()).all() else "numbers"
    if not column.notna().any():
        return "nothing"
    match pd.api.types.infer_dtype(column, skipna=True):
        case "integer" | "floating" | "boolean" | "decimal" | "mixed-integer-float":
            return "numbers"
        case "string" | "categorical":
            return "texts"
        case "mixed" | "mixed-integer" if all(map(_is_plain, column)):
            return "texts"
        case "datetime64" | "datetime" | "date" | "time" | "timedelta64" | "timedelta" | "period":
            raise problem(
                f"Column {name!r} holds dates or times; turn them into numbers, for instance "
                "days since a date, or leave the column out."
            )
        case "mixed" | "mixed-integer":
            odd = next(type(cell).__name__ for cell in column if not _is_plain(cell))
            raise problem(
                f"Column {name!r} holds cells of type {odd}, neither numbers nor texts; turn them "
                "into one of these or leave the column out."
            )
        case found:
            raise problem(
                f"Column {name!r} holds {found} cells, neither numbers nor texts; turn them into "
                "one of these or leave the column out."
            )


def numbers(column: pd.Series) -> np.ndarray:
    """The cells as float64, missing ones as NaN.

    Example:
        >>> numbers(pd.Series([True, None, False]))
        array([ 1., nan,  0.])
    """
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf":
        return column.to_numpy(dtype=np.float64, copy=True)
    values = np.full(len(column), np.nan)
    present = column.notna().to_numpy()
    values[present] = column[present].astype("float64").to_numpy()
    return values


def texts(column: pd.Series) -> np.ndarray:
    """The cells as an array of str objects, missing ones as None.

    A whole number is written without decimals, so that missing cells, which turn integers into
    floats, do not change its text.

    Example:
        >>> texts(pd.Series(["x", None])), texts(pd.Series([7, None]))
        (array(['x', None], dtype=object), array(['7', None], dtype=object))
    """
    values = np.full(len(column), None, dtype=object)
    for row, cell in enumerate(column):
        if not _is_missing(cell):
            values[row] = str(int(cell) if _is_whole(cell) else cell)
    return values


def _is_plain(cell: object) -> bool:
    return isinstance(cell, str | bool | int | float | np.bool_ | np.number) or _is_missing(cell)


def _is_missing(cell: Any) -> bool:
    return pd.api.types.is_scalar(cell) and bool(pd.isna(cell))


def _is_whole(cell: object) -> bool:
    return isinstance(cell, float | np.floating) and float(cell).is_integer()
