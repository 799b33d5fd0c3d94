"""Conversion of verified values to integers: several spellings, missing values."""

from collections.abc import Callable
from typing import Any

import numpy as np

from nbam_pyro.checks.column import Column
from nbam_pyro.errors import DataError

_SWITCHES = {"1": 1, "true": 1, "0": 0, "false": 0}


def switches(values: np.ndarray) -> np.ndarray:
    """Return switches as integers, (n,): 1 for contaminated, 0 for clean.

    Args:
        values: Numbers, booleans or texts, none of them missing, (n,).

    Raises:
        DataError: A value is not 1, true, 0 or false.

    Example:
        >>> switches(np.array(["1", "False"]))
        array([1, 0])
    """
    texts = [str(value).removesuffix(".0") for value in values.tolist()]
    codes = [_SWITCHES.get(text.lower()) for text in texts]
    if None in codes:
        wrong = texts[codes.index(None)]
        raise DataError(f"{wrong!r} is not 1, true, 0 or false. Correct it or delete it.")
    return np.array(codes, dtype=np.int64)


def codes_of(
    name: str, values: Any, rows: int, encode: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Return the values of one argument of verified values as integers.

    Args:
        name: Name of the argument, which the error message shows.
        values: Values, (N,), NaN or None where unknown; None if no value is verified.
        rows: Number of rows N.
        encode: Function that converts the known values to integers.

    Returns:
        Integers, (N,), -1 where nothing is verified.

    Raises:
        DataError: The length is not N, or a value cannot be converted.
    """
    codes = np.full(rows, -1)
    if values is None:
        return codes
    try:
        column = Column.of(values)
        if len(column) != rows:
            raise DataError(
                f"it has {len(column)} rows, but the data have {rows}. Give one value for each row."
            )
        codes[column.present] = encode(column.values) if column.present.any() else []
    except DataError as error:
        raise DataError(f"{name} (verified values): {error}") from error
    return codes
