"""Decoding what is verified: arrays with missing values, and true labels by name."""

from collections.abc import Callable
from typing import Any

import numpy as np

from nbam_pyro.errors import DataError
from nbam_pyro.estimators.targets import Column
from nbam_pyro.verified import NOTHING, Verified

_SWITCHES = {"1": 1, "true": 1, "0": 0, "false": 0}


def verified_rows(
    y: np.ndarray,
    present: np.ndarray,
    *,
    true_label: Any,
    contaminated: Any,
    encode: Callable[[np.ndarray], np.ndarray],
) -> Verified:
    """Decode what is verified of rows; `NOTHING` if neither argument is given.

    Args:
        y: Encoded targets of the rows that have one, (n,).
        present: True where the row has a target, (N,).
        true_label: Verified true labels, (N,), NaN or None where unknown; None if there are none.
        contaminated: Verified switches, (N,): 1 or true for wrong, 0 or false for right, as
            numbers, booleans or texts, NaN or None where unknown; None if there are none.
        encode: Function that converts labels to class numbers.

    Raises:
        DataError: A length differs, a value is no class or no switch, a row without a target is
            verified, or two values contradict each other.
    """
    if true_label is None and contaminated is None:
        return NOTHING
    codes = {
        "contaminated": codes_of("contaminated", contaminated, len(present), switches),
        "true_label": codes_of("true_label", true_label, len(present), encode),
    }
    targets = np.zeros(len(present), y.dtype)
    targets[present] = y
    for name, values in codes.items():
        alone = (values >= 0) & ~present
        if alone.any():
            raise DataError(
                f"{name} is given in {int(alone.sum())} rows that have no target, the first is row "
                f"{alone.argmax()}. Only a target can be verified: give both or neither."
            )
    return Verified.of(targets, contaminated=codes["contaminated"], true_label=codes["true_label"])


def switches(values: np.ndarray) -> np.ndarray:
    """Decode switches: 1 for contaminated, 0 for clean, (n,).

    Args:
        values: Numbers, booleans or texts, none of them missing, (n,).

    Raises:
        DataError: A value is neither 1 or true nor 0 or false.

    Example:
        >>> switches(np.array(["1", "False"]))
        array([1, 0])
    """
    texts = [str(value).removesuffix(".0") for value in values.tolist()]
    codes = [_SWITCHES.get(text.lower()) for text in texts]
    if None in codes:
        wrong = texts[codes.index(None)]
        raise DataError(f"{wrong!r} is neither 1 (or true) nor 0 (or false). Correct or empty it.")
    return np.array(codes, dtype=np.int64)


def codes_of(
    name: str, values: Any, rows: int, encode: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Decode one argument of what is verified.

    Args:
        name: Name of the argument, for error messages.
        values: Values, (N,), NaN or None where unknown; None if there are none.
        rows: Number of rows N.
        encode: Function that converts the known values to integers.

    Returns:
        Integers, (N,), -1 where nothing is verified.

    Raises:
        DataError: The length differs, or a value cannot be converted.
    """
    codes = np.full(rows, -1)
    if values is None:
        return codes
    try:
        column = Column.of(values)
        if len(column) != rows:
            raise DataError(
                f"it has {len(column)} rows, but the data have {rows}. They must agree."
            )
        codes[column.present] = encode(column.values) if column.present.any() else []
    except DataError as error:
        raise DataError(f"{name} (what is verified): {error}") from error
    return codes
