"""Decoding of targets: numbers or texts, with missing values."""

from dataclasses import dataclass

import numpy as np

from nbam_pyro.checks.column import Column
from nbam_pyro.errors import DataError
from nbam_pyro.inference import Fit, prior_contamination, responsibilities
from nbam_pyro.verified import NOTHING, Verified


@dataclass(frozen=True, eq=False)
class Targets:
    """Targets in the form that a story needs, and what is verified about them.

    A row is verified if somebody has checked its target.

    Attributes:
        column: Original targets before the encoding, N rows.
        codes: Encoded targets of the rows that have one, (n,): class indices, or measurements.
        verified: Result of the check of each of the N rows: its true label, or whether its target
            is wrong, or nothing. `NOTHING` if no row is verified.
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
        """What is verified about the rows that have a target: `verified` without the others."""
        return self.verified[self.present]

    def __getitem__(self, rows: np.ndarray) -> "Targets":
        return Targets(self.column[rows], self.codes[rows[self.present]], self.verified[rows])


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
    """Encode labels as class indices, (n,).

    Args:
        y: Labels, none of them missing, (n,).
        classes: Labels that occurred in training, sorted, (K,).

    Raises:
        DataError: A label is not one of the classes.
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
        DataError: The labels are texts and the classes are numbers, or the other way round, or y
            cannot be labels.
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
    """Return responsibilities of rows with a target, and P(z=1 | x) of other rows, (N,).

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
