"""Decoding targets: numbers or texts, some of which may be missing."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import column_or_1d

from nbam_pyro.checks.containers import unwrapped
from nbam_pyro.errors import DataError
from nbam_pyro.estimators.features import is_date
from nbam_pyro.inference import Fit, prior_contamination, responsibilities
from nbam_pyro.verified import NOTHING, Verified


@dataclass(frozen=True, eq=False)
class Column:
    """A column of targets, of which some are missing, decoded once.

    Attributes:
        cells: The column as it was given, (N,), missing targets included.
        values: Targets that are present, (n,), in the narrowest type that holds them. It is an
            array of objects where NumPy has no such type, as for `decimal.Decimal`.
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
                `Column`, which is returned as it is.

        Raises:
            DataError: There is more than one dimension, texts and numbers are mixed, or a target
                is neither a number nor a text.
        """
        if isinstance(y, Column):
            return y
        y = unwrapped(y)
        # Lists and pandas' own types may hold None and NA, which must not make floats of integers.
        if isinstance(y, pd.DataFrame):
            y = y.to_numpy(dtype=object)
        elif isinstance(y, list | tuple) or pd.api.types.is_extension_array_dtype(y):
            y = np.asarray(y, dtype=object)
        with as_data_errors():
            cells = np.asarray(column_or_1d(y, warn=True))
        present = ~pd.isna(cells)
        values = cells[present]
        if cells.dtype.kind in "OmMcV":
            for one in values:
                _check_target(one)
            values = _narrowest(values)
        return cls(cells, values, present)

    def with_values(self, values: np.ndarray) -> "Column":
        """The same column with other values in place of those that are present.

        Args:
            values: New values of the rows that have one, (n,).
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


@dataclass(frozen=True, eq=False)
class Targets:
    """Targets as a story takes them, and what is verified of them.

    Attributes:
        column: The targets as their owner wrote them, N rows.
        codes: Encoded targets of the rows that have one, (n,): class numbers, or measurements.
        verified: What is verified of the N rows; `NOTHING` if nothing was said about it.
    """

    column: Column
    codes: np.ndarray
    verified: Verified = NOTHING

    @property
    def present(self) -> np.ndarray:
        """True where the row has a target, (N,) booleans."""
        return self.column.present

    @property
    def verified_present(self) -> Verified:
        """What is verified of the rows that have a target, (n,)."""
        return self.verified[self.present]

    def __getitem__(self, rows: np.ndarray) -> "Targets":
        return Targets(self.column[rows], self.codes[rows[self.present]], self.verified[rows])


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


def check_labels(y: np.ndarray) -> None:
    """Check that targets can be labels: whole numbers, booleans or texts.

    Args:
        y: Targets, none of them missing, (n,).

    Raises:
        DataError: A target is infinite or has decimal places, or NumPy has no type for the targets.
    """
    if y.dtype == object and len(y):
        raise DataError(
            f"Labels must be texts or whole numbers of at most 64 bits, not {type(y[0]).__name__} "
            f"such as {y[0]!r}. Write them as texts, [str(label) for label in y]."
        )
    if y.dtype.kind != "f":
        return
    if not np.isfinite(y).all():
        raise DataError("Input y contains infinity, but labels must be whole numbers or texts.")
    broken = y[y != np.round(y)]
    if len(broken):
        raise DataError(
            f"Unknown label type: labels must be whole numbers or texts, not numbers such as "
            f"{broken[0].item()!r}. For measurements use NBAMRegressor, or --task regression."
        )


def encode_labels(y: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Encode labels as class numbers, (n,).

    Args:
        y: Labels, none of them missing, (n,).
        classes: Labels that occurred in training, sorted, (K,).

    Raises:
        DataError: A label is none of the classes.
    """
    check_same_kind(y, classes)
    codes = np.searchsorted(classes, y).clip(max=len(classes) - 1)
    unknown = classes[codes] != y
    if unknown.any():
        one, known = y[unknown][0].item(), ", ".join(map(str, classes[:10]))
        raise DataError(
            f"{int(unknown.sum())} labels did not occur in training, such as {one!r}. The classes "
            f"are {known}{' and more' if len(classes) > 10 else ''}."
        )
    return codes


def check_same_kind(y: np.ndarray, classes: np.ndarray) -> None:
    """Check that labels and classes are both texts, or both numbers.

    Args:
        y: Labels, none of them missing, (n,).
        classes: Labels that occurred in training, (K,).

    Raises:
        DataError: One of them is texts and the other is numbers, or y cannot be labels.
    """
    check_labels(y)
    kinds = [each.dtype.kind if each.dtype.kind in "US" else "number" for each in (y, classes)]
    if len(y) and kinds[0] != kinds[1]:
        one, known = y[0].item(), classes[0].item()
        raise DataError(
            f"Labels such as {one!r} do not match the classes of training, such as {known!r}: one "
            "is a text and the other a number. Write the labels as in training."
        )


def in_words(y: np.ndarray) -> np.ndarray:
    """Convert numbers to texts, whole numbers without decimals.

    Args:
        y: Numbers or booleans, none of them missing, (n,).

    Example:
        >>> in_words(np.array([7.0, 8.0])).tolist()
        ['7', '8']
    """
    whole = y.dtype.kind == "f" and bool((y == np.round(y)).all())
    return (y.astype(np.int64) if whole else y).astype(str)


def encode_measurements(y: np.ndarray) -> np.ndarray:
    """Convert measurements to float64, (n,).

    Args:
        y: Measurements, none of them missing, (n,).

    Raises:
        DataError: A measurement is a text, a boolean or infinite.
    """
    if y.dtype.kind in "USb":
        kind = "booleans" if y.dtype.kind == "b" else f"texts such as {str(y[0])!r}"
        raise DataError(
            f"Targets are {kind}, but a regression needs numbers. For labels use NBAMClassifier, "
            "or --task classification."
        )
    try:
        values = y.astype(np.float64)
    except OverflowError as error:
        raise DataError("Targets are too large for 64 bits. Rescale them.") from error
    if not np.isfinite(values).all():
        raise DataError(
            f"Input y contains infinity in {int((~np.isfinite(values)).sum())} rows. Drop them."
        )
    return values


def score(fit: Fit, x: np.ndarray, targets: Targets) -> np.ndarray:
    """Responsibilities of rows with a target, and P(z=1 | x) of rows without one, (N,).

    Args:
        fit: Result of a fit.
        x: Features of all rows, (N, ...).
        targets: Targets of all rows.
    """
    values = np.empty(len(x))
    present = targets.present
    if present.any():
        values[present] = responsibilities(
            fit, x[present], targets.codes, verified=targets.verified_present
        )
    if not present.all():
        values[~present] = prior_contamination(fit, x[~present])
    return values


@contextmanager
def as_data_errors() -> Iterator[None]:
    """Turn `ValueError`s of scikit-learn into `DataError`s."""
    try:
        yield
    except DataError:
        raise
    except ValueError as error:
        raise DataError(" ".join(str(error).split())) from error
