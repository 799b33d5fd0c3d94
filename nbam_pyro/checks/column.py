"""A column of targets: numbers or texts, some of which may be missing."""

import datetime
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd

from nbam_pyro.checks.containers import unwrapped
from nbam_pyro.errors import DataError

__all__ = ["Column", "as_data_errors", "is_date"]

_DATES = (datetime.date, datetime.time, datetime.timedelta, np.datetime64, np.timedelta64)


def is_date(value: Any) -> bool:
    """Return whether a value is a date, a time, or a duration.

    Args:
        value: Any value.
    """
    return isinstance(value, (*_DATES, pd.Period))


@dataclass(frozen=True, eq=False)
class Column:
    """A column of targets, of which some are missing, decoded once.

    Attributes:
        cells: The column in its original form, (N,), missing targets included.
        values: Targets that are present, (n,), in the narrowest type that holds them. If NumPy has
            no type for the values, as for `decimal.Decimal`, it is an array of objects.
        present: True where the row has a target, (N,) booleans.

    Example:
        >>> column = Column.of([3, None, 4])
        >>> column.values, column.present
        (array([3, 4]), array([ True, False,  True]))
    """

    cells: np.ndarray
    values: np.ndarray
    present: np.ndarray

    @classmethod
    def of(cls, y: Any) -> "Column":
        """Decode targets.

        Args:
            y: Targets, (N,), or (N, 1) with a warning; NaN, NA or None where a target is missing.
                An array, a list, a column from pandas, polars (also lazy), Arrow or PyTorch, or a
                `Column`, which is returned unchanged.

        Raises:
            DataError: There is more than one dimension, texts and numbers are mixed, or a target
                is neither a number nor a text.
        """
        if isinstance(y, Column):
            return y
        y = unwrapped(y)
        # Lists and types of pandas may contain None and NA; these must not convert integers to
        # floats.
        if isinstance(y, pd.DataFrame):
            y = y.to_numpy(dtype=object)
        elif isinstance(y, list | tuple) or pd.api.types.is_extension_array_dtype(y):
            y = np.asarray(y, dtype=object)
        with as_data_errors():
            cells = _in_one_dimension(y)
        present = ~pd.isna(cells)
        values = cells[present]
        if cells.dtype.kind in "OmMcV":
            for one in values:
                _check_target(one)
            values = _narrowest(values)
        return cls(cells, values, present)

    def with_values(self, values: np.ndarray) -> "Column":
        """Return the same column with new values for the rows that have a value.

        Args:
            values: New values of the rows that have a value, (n,).
        """
        if self.present.all():
            return Column(values, values, self.present)
        cells = np.full(len(self), None, dtype=object)
        cells[self.present] = values
        return Column(cells, values, self.present)

    def __len__(self) -> int:
        return len(self.present)

    def __getitem__(self, rows: np.ndarray) -> "Column":
        values = self.values[rows[self.present]]
        return Column(self.cells[rows], values, self.present[rows])


def _in_one_dimension(y: Any) -> np.ndarray:
    """Return targets as an array with one dimension, (N,)."""
    if isinstance(y, np.ndarray | pd.Series) and y.ndim == 1:
        return np.asarray(y)
    from sklearn.utils import column_or_1d

    return np.asarray(column_or_1d(y, warn=True))


def _check_target(one: Any) -> None:
    if is_date(one):
        raise DataError(
            f"The targets are dates or times such as {str(one)!r}. Write labels as texts, "
            "y.astype(str). Convert measurements to numbers, such as seconds since the first."
        )
    if not isinstance(one, Real | Decimal | np.bool_ | str | bytes):
        raise DataError(
            f"The targets are neither numbers nor texts: {one!r} is of type {type(one).__name__}. "
            "Write labels as texts, [str(label) for label in y], and measurements as numbers."
        )


def _narrowest(values: np.ndarray) -> np.ndarray:
    """Convert objects that are numbers or texts to the narrowest type that keeps all digits."""
    texts = [isinstance(value, str | bytes) for value in values]
    if any(texts) and not all(texts):
        raise DataError(
            "The targets mix texts and numbers. Write all of them as texts or all as numbers."
        )
    narrow = np.array(values.tolist())
    rounded = narrow.dtype.kind == "f" and all(isinstance(v, Integral) for v in values)
    return values if rounded and len(values) else narrow


@contextmanager
def as_data_errors() -> Iterator[None]:
    """Convert `ValueError`s of scikit-learn to `DataError`s."""
    try:
        yield
    except DataError:
        raise
    except ValueError as error:
        raise DataError(" ".join(str(error).split())) from error
