"""The labels of a table as an array."""

import re
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd

from nbam_pyro.cli.files.cells import cell_kind, numbers, texts
from nbam_pyro.cli.files.messages import problem
from nbam_pyro.cli.files.precision import EXACT, rounded

__all__ = ["Spelling", "as_numbers", "raw_labels", "spelled_labels"]

Spelling: TypeAlias = Literal["auto", "numbers", "texts"]
"""How labels that are written as texts are read. "auto": as numbers if all of them are numbers
without a leading zero. "numbers": as numbers if all of them can be read as numbers. "texts": as
texts."""

# Numbers without a leading zero: 001 and 01 are two labels, not one.
_WHOLE = re.compile(r"\s*[+-]?(0|[1-9][0-9]*)\s*", re.ASCII)
_NUMBER = re.compile(
    r"\s*[+-]?((0|[1-9][0-9]*)(\.[0-9]*)?(e[+-]?[0-9]+)?|\.[0-9]+(e[+-]?[0-9]+)?|inf(inity)?)\s*",
    re.ASCII | re.IGNORECASE,
)
_BOOLEANS = {"true": True, "false": False}


def raw_labels(column: pd.Series, *, name: str) -> np.ndarray:
    """Return labels as an array, (N,), with the data type of the file.

    Args:
        column: Cells of the label column.
        name: Name of the column, for error messages.

    Returns:
        Numbers and booleans in their own type. With missing cells: floats with NaN for numbers, and
        objects with None for booleans and for integers beyond 2^53. Texts and categories are
        objects, with None for missing cells.

    Raises:
        DataError: The labels are dates or of another type that is not supported, or decimals with
            more digits than float64 can hold.

    Example:
        >>> raw_labels(pd.Series(["cat", None]), name="animal")
        array(['cat', None], dtype=object)
    """
    kind = cell_kind(column, name=name)
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf":
        return column.to_numpy(copy=True)
    if kind == "nothing":
        return np.full(len(column), None, dtype=object)
    if kind == "texts":
        return texts(column)
    present = column.notna().to_numpy()
    cells = column[present].tolist()
    if pd.api.types.infer_dtype(column, skipna=True) == "boolean":
        return _gapped([bool(cell) for cell in cells], present, np.dtype(np.bool_))
    if pd.api.types.infer_dtype(column, skipna=True) == "integer":
        own = getattr(column.dtype, "numpy_dtype", None)
        return _integers([int(cell) for cell in cells], present, own=own)
    values = numbers(column)
    lost = rounded(column[present], values[present])
    if lost:
        raise problem(f"Column {name!r}: {lost}. Write the labels as texts.")
    return values


def spelled_labels(column: pd.Series, *, spelling: Spelling = "auto") -> np.ndarray:
    """Return labels as an array, (N,), from cells that are texts, as in a CSV file.

    Args:
        column: Cells of the label column, texts or missing.
        spelling: How texts are read: "auto", "numbers" or "texts". `Spelling` describes them.

    Returns:
        The same types as `raw_labels` returns. With "auto", all cells stay texts if one of them is
        not a number or has a leading zero.

    Example:
        >>> spelled_labels(pd.Series(["1", "10"]))
        array([ 1, 10])
        >>> spelled_labels(pd.Series(["01", "10", None]))
        array(['01', '10', None], dtype=object)
    """
    present = column.notna().to_numpy()
    cells: list[str] = column[present].tolist()
    if not cells:
        return np.full(len(column), np.nan)
    if spelling != "texts":
        found = _read(cells, present, spelling)
        if found is not None:
            return found
    labels = np.full(len(column), None, dtype=object)
    labels[present] = cells
    return labels


def as_numbers(labels: np.ndarray) -> np.ndarray:
    """Convert labels that are texts to numbers if all of them can be read as numbers.

    Args:
        labels: Labels of any type, (N,). Labels that are not texts are returned unchanged.

    Example:
        >>> as_numbers(np.array(["01", None], dtype=object))
        array([ 1., nan])
    """
    if labels.dtype != object or not all(isinstance(one, str | None) for one in labels):
        return labels
    return spelled_labels(pd.Series(labels), spelling="numbers")


def _read(cells: list[str], present: np.ndarray, spelling: Spelling) -> np.ndarray | None:
    if all(cell.lower() in _BOOLEANS for cell in cells):
        flags = [_BOOLEANS[cell.lower()] for cell in cells]
        return _gapped(flags, present, np.dtype(np.bool_))
    if all(map(_WHOLE.fullmatch, cells)):
        whole = [int(cell) for cell in cells]
        if _fit(whole) or spelling == "auto":
            # Whole numbers of more than 64 bits are probably names, so they stay texts.
            return _integers(whole, present) if _fit(whole) else None
    if spelling == "auto" and not all(map(_NUMBER.fullmatch, cells)):
        return None
    try:
        values = np.full(len(present), np.nan)
        values[present] = [float(cell) for cell in cells]
    except ValueError:
        return None
    return values


def _integers(whole: list[int], present: np.ndarray, *, own: np.dtype | None = None) -> np.ndarray:
    """An array of integers that stay exact even if some cells are missing."""
    big = max(whole) >= 2**63
    if present.all():
        return np.array(whole, dtype=own or (np.uint64 if big else np.int64))
    if max(map(abs, whole)) > EXACT:
        # NumPy turns a list of integers that fit no common type into floats.
        return _gapped([str(one) for one in whole] if big else whole, present, np.dtype(object))
    values = np.full(len(present), np.nan)
    values[present] = whole
    return values


def _gapped(cells: list, present: np.ndarray, dtype: np.dtype) -> np.ndarray:
    if present.all():
        return np.array(cells, dtype=dtype)
    values = np.full(len(present), None, dtype=object)
    values[present] = cells
    return values


def _fit(whole: list[int]) -> bool:
    low, high = min(whole), max(whole)
    return (low >= -(2**63) and high < 2**63) or (low >= 0 and high < 2**64)
