"""Targets as people have them: numbers or texts, some of them missing."""

from collections.abc import Iterator
from contextlib import contextmanager
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


def column(y: Any) -> tuple[np.ndarray, np.ndarray]:
    """Targets in one dimension, and which of them are there.

    Args:
        y: Targets, (N,), or (N, 1) with a warning, NaN, NA or None where missing: an array, a
            list, or a column from pandas, polars (also lazy), Arrow or PyTorch.

    Returns:
        The targets that are there, in the narrowest type that holds them (an object array where
        none of NumPy's does, as for `decimal.Decimal`), and booleans (N,).

    Raises:
        DataError: There is more than one dimension, texts and numbers are mixed, or a target is
            neither a number nor a text.
    """
    y = unwrapped(y)
    # Lists and pandas' own types may hold None and NA, which must not turn integers into floats.
    if isinstance(y, pd.DataFrame):
        y = y.to_numpy(dtype=object)
    elif isinstance(y, list | tuple) or pd.api.types.is_extension_array_dtype(y):
        y = np.asarray(y, dtype=object)
    with as_data_errors():
        values = column_or_1d(y, warn=True)
    values = np.asarray(values)
    present = ~pd.isna(values)
    there = values[present]
    if values.dtype.kind in "OmMcV":
        for one in there:
            _check_target(one)
        there = _narrowest(there)
    return there, present


def _check_target(one: Any) -> None:
    if is_date(one):
        raise DataError(
            f"The targets are dates or times such as {str(one)!r}: write labels as texts, "
            "y.astype(str); turn measurements into numbers, such as seconds since the first."
        )
    if not isinstance(one, Real | Decimal | np.bool_ | str | bytes):
        raise DataError(
            f"The targets are neither numbers nor texts: {one!r} is of type {type(one).__name__}; "
            "write labels as texts, [str(label) for label in y], and measurements as numbers."
        )


def _narrowest(values: np.ndarray) -> np.ndarray:
    """Objects that are numbers or texts in the narrowest type that keeps all their digits."""
    texts = [isinstance(value, str | bytes) for value in values]
    if any(texts) and not all(texts):
        raise DataError("The targets mix texts and numbers; write all of them one way.")
    narrow = np.array(values.tolist())
    rounded = narrow.dtype.kind == "f" and all(isinstance(v, Integral) for v in values)
    return values if rounded and len(values) else narrow


def check_labels(y: np.ndarray) -> None:
    """Check that targets, none of them missing, can be labels: whole numbers, booleans or texts.

    Raises:
        DataError: They are infinite, have decimal places, or no type of NumPy's holds them.
    """
    if y.dtype == object and len(y):
        raise DataError(
            f"Labels are whole numbers of at most 64 bits or texts, not {type(y[0]).__name__} such "
            f"as {y[0]!r}: write them as texts, [str(label) for label in y]."
        )
    if y.dtype.kind != "f":
        return
    if not np.isfinite(y).all():
        raise DataError("Input y contains infinity: labels are whole numbers or texts.")
    broken = y[y != np.round(y)]
    if len(broken):
        raise DataError(
            f"Unknown label type: labels are whole numbers or texts, not such as "
            f"{broken[0].item()!r}; for measurements use NBAMRegressor, or --task regression."
        )


def encode_labels(y: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """The number of each label among the sorted classes, (N,).

    Raises:
        DataError: A label is no class.
    """
    check_same_kind(y, classes)
    codes = np.searchsorted(classes, y).clip(max=len(classes) - 1)
    unknown = classes[codes] != y
    if unknown.any():
        one, known = y[unknown][0].item(), ", ".join(map(str, classes[:10]))
        raise DataError(
            f"{int(unknown.sum())} labels are no class of the fit, such as {one!r}; its classes "
            f"are {known}{' and more' if len(classes) > 10 else ''}."
        )
    return codes


def check_same_kind(y: np.ndarray, classes: np.ndarray) -> None:
    """Check that labels are written as the classes are: both as texts, or both as numbers.

    Raises:
        DataError: They are not, or cannot be labels at all.
    """
    check_labels(y)
    kinds = [each.dtype.kind if each.dtype.kind in "US" else "number" for each in (y, classes)]
    if len(y) and kinds[0] != kinds[1]:
        one, known = y[0].item(), classes[0].item()
        raise DataError(f"Labels are such as {one!r}; the classes are such as {known!r}.")


def in_words(y: np.ndarray) -> np.ndarray:
    """Numbers as texts: those such as 7 look like numbers in a column of nothing else.

    Example:
        >>> in_words(np.array([7.0, 8.0])).tolist()
        ['7', '8']
    """
    whole = y.dtype.kind == "f" and bool((y == np.round(y)).all())
    return (y.astype(np.int64) if whole else y).astype(str)


def encode_measurements(y: np.ndarray) -> np.ndarray:
    """Measurements as float64, (N,).

    Raises:
        DataError: They are texts, booleans or infinite.
    """
    if y.dtype.kind in "USb":
        kind = "booleans" if y.dtype.kind == "b" else f"texts such as {str(y[0])!r}"
        raise DataError(
            f"Targets are {kind}; a regression needs numbers (for labels use NBAMClassifier, or "
            "--task classification)."
        )
    try:
        values = y.astype(np.float64)
    except OverflowError as error:
        raise DataError("Targets are too large for 64 bits: rescale them.") from error
    if not np.isfinite(values).all():
        raise DataError(
            f"Input y contains infinity in {int((~np.isfinite(values)).sum())} rows: drop them."
        )
    return values


def score(
    fit: Fit,
    x: np.ndarray,
    y: np.ndarray,
    present: np.ndarray,
    verified: Verified = NOTHING,
) -> np.ndarray:
    """Responsibilities of rows with a target, and P(z=1 | x) of the others, (N,).

    Args:
        fit: a fit.
        x: all rows.
        y: encoded targets of those that have one.
        present: which have one, (N,).
        verified: what is verified of all rows, if anything.
    """
    values = np.empty(len(x))
    if present.any():
        values[present] = responsibilities(fit, x[present], y, verified=verified[present])
    if not present.all():
        values[~present] = prior_contamination(fit, x[~present])
    return values


@contextmanager
def as_data_errors() -> Iterator[None]:
    """scikit-learn's complaints about data, as ours (which are ValueErrors too)."""
    try:
        yield
    except DataError:
        raise
    except ValueError as error:
        raise DataError(" ".join(str(error).split())) from error
