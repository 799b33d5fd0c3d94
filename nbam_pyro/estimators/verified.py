"""Decoding what is verified: arrays with missing values, and true labels by name."""

from collections.abc import Callable
from typing import Any

import numpy as np

from nbam_pyro.checks.codes import codes_of, switches
from nbam_pyro.errors import DataError
from nbam_pyro.verified import NOTHING, Verified


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
