"""What is verified, as people have it: arrays with gaps, true labels by their own names."""

from collections.abc import Callable
from typing import Any

import numpy as np

from nbam_pyro.errors import DataError
from nbam_pyro.estimators.targets import Column
from nbam_pyro.verified import Verified

_SWITCHES = {"1": 1, "true": 1, "0": 0, "false": 0}


def verified_rows(
    y: np.ndarray,
    present: np.ndarray,
    *,
    true_label: Any,
    contaminated: Any,
    encode: Callable[[np.ndarray], np.ndarray],
) -> Verified | None:
    """What is verified of rows, of which some may have no target; None if nothing is given.

    Args:
        y: encoded targets of the rows that have one.
        present: which rows have one, (N,).
        true_label: true labels, (N,), NaN or None where unknown; None for none at all.
        contaminated: 1 or true, 0 or false, in numbers, booleans or texts, (N,), NaN or None where
            unknown; None for none at all.
        encode: numbers of classes from labels that are there.

    Raises:
        DataError: a length differs, a value is no class or no switch, a row without a target is
            verified, or something contradicts something else.
    """
    if true_label is None and contaminated is None:
        return None
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
                f"{name} is given in {int(alone.sum())} rows that have no target, the first row "
                f"{alone.argmax()}: what is verified is said of a target, so give both or neither."
            )
    return Verified.of(targets, contaminated=codes["contaminated"], true_label=codes["true_label"])


def switches(values: np.ndarray) -> np.ndarray:
    """1 where values say contaminated, 0 where they say clean, (N,).

    Raises:
        DataError: one of them says neither.

    Example:
        >>> switches(np.array(["1", "False"]))
        array([1, 0])
    """
    texts = [str(value).removesuffix(".0") for value in values.tolist()]
    codes = [_SWITCHES.get(text.lower()) for text in texts]
    if None in codes:
        wrong = texts[codes.index(None)]
        raise DataError(f"{wrong!r} is neither 1 (or true) nor 0 (or false); mend or empty it.")
    return np.array(codes, dtype=np.int64)


def codes_of(
    name: str, values: Any, rows: int, encode: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Codes of what is verified, (N,), -1 where nothing is."""
    codes = np.full(rows, -1)
    if values is None:
        return codes
    try:
        column = Column.of(values)
        if len(column) != rows:
            raise DataError(f"it has {len(column)} rows and the data have {rows}; they must agree.")
        codes[column.present] = encode(column.values) if column.present.any() else []
    except DataError as error:
        raise DataError(f"{name} (what is verified): {error}") from error
    return codes
