"""Targets as people have them: numbers or texts, some of them missing."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import column_or_1d

from nbam_pyro.errors import DataError
from nbam_pyro.inference import Fit, prior_contamination, responsibilities
from nbam_pyro.verified import Verified


def column(y: Any) -> tuple[np.ndarray, np.ndarray]:
    """Targets in one dimension, and which of them are there.

    Args:
        y: (N,), or (N, 1) with a warning, NaN or None where missing.

    Returns:
        the targets that are there, in the narrowest type that holds them, and booleans (N,).

    Raises:
        DataError: more than one dimension, or texts and numbers together.
    """
    # Lists and pandas' own types may hold None and NA, which must not turn integers into floats.
    if isinstance(y, list) or pd.api.types.is_extension_array_dtype(y):
        y = np.asarray(y, dtype=object)
    with as_data_errors():
        values = column_or_1d(y, warn=True)
    values = np.asarray(values)
    present = ~pd.isna(values)
    there = values[present]
    if values.dtype == object:
        texts = [isinstance(value, str) for value in there]
        if any(texts) and not all(texts):
            raise DataError("The targets mix texts and numbers; write all of them one way.")
        there = np.array(there.tolist())
    return there, present


def encode_labels(y: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """The number of each label among the sorted classes, (N,).

    Raises:
        DataError: a label is no class.
    """
    if len(y) and (y.dtype.kind in "US") != (classes.dtype.kind in "US"):
        one, known = y[0].item(), classes[0].item()
        raise DataError(f"Labels are such as {one!r}; the classes are such as {known!r}.")
    codes = np.searchsorted(classes, y).clip(max=len(classes) - 1)
    unknown = classes[codes] != y
    if unknown.any():
        one, known = y[unknown][0].item(), ", ".join(map(str, classes[:10]))
        raise DataError(
            f"{int(unknown.sum())} labels are no class of the fit, such as {one!r}; its classes "
            f"are {known}{' and more' if len(classes) > 10 else ''}."
        )
    return codes


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
        DataError: they are texts or infinite.
    """
    try:
        if y.dtype.kind in "US":
            raise ValueError
        values = y.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"Targets are texts such as {str(y[0])!r}; a regression needs numbers (for labels use "
            "NBAMClassifier, or --task classification)."
        ) from error
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
    verified: Verified | None = None,
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
        known = None if verified is None else verified[present]
        values[present] = responsibilities(fit, x[present], y, verified=known)
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
