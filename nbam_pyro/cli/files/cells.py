"""Kinds of cells: whether a column holds numbers, texts or nothing."""

from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd

from nbam_pyro.cli.files.messages import problem

__all__ = ["CellKind", "cell_kind", "numbers", "texts"]

CellKind: TypeAlias = Literal["numbers", "texts", "nothing"]


def cell_kind(column: pd.Series, *, name: str) -> CellKind:
    """Return "numbers" (also for booleans), "texts" (also for categories) or "nothing" (no value).

    Args:
        column: Cells of the column.
        name: Name of the column, for error messages.

    Raises:
        DataError: The cells are dates, lists, bytes or of another type that is not supported.

    Example:
        >>> cell_kind(pd.Series([True, None]), name="a"), cell_kind(pd.Series(["x"]), name="b")
        ('numbers', 'texts')
    """
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf":
        # pandas would be slow here: there may be many thousand columns of numbers.
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
                f"Column {name!r} holds dates or times. Convert them to numbers, for instance days "
                "since a date, or leave the column out."
            )
        case "mixed" | "mixed-integer":
            odd = next(type(cell).__name__ for cell in column if not _is_plain(cell))
            raise problem(
                f"Column {name!r} has cells of type {odd}, neither numbers nor texts. "
                "Convert them to numbers or texts, or leave the column out."
            )
        case found:
            raise problem(
                f"Column {name!r} holds {found} cells, neither numbers nor texts. "
                "Convert them to numbers or texts, or leave the column out."
            )


def numbers(column: pd.Series) -> np.ndarray:
    """Convert cells to float64; missing cells become NaN.

    Args:
        column: Cells that are numbers or booleans.

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
    """Convert cells to an array of `str` objects; missing cells become None.

    Whole numbers are written without decimals. Missing cells turn integers into floats, and this
    must not change their texts.

    Args:
        column: Cells of any kind.

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
