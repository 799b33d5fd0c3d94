"""Decoding of what is verified about rows: true labels, or whether targets are wrong.

A row is verified if somebody has checked its target. Both come as arrays with missing values.
"""

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
    """Decode verified true labels, and which targets are verified as wrong or as right.

    The result is `NOTHING` if neither argument is given.

    Args:
        y: Encoded targets of the rows that have one, (n,).
        present: True where the row has a target, (N,).
        true_label: Verified true labels, (N,), NaN or None where unknown; None if no true label is
            known.
        contaminated: Whether each target is verified as wrong, (N,): 1 or true for a wrong target,
            0 or false for a right one, as numbers, booleans or texts, NaN or None if the target is
            not verified. None if no target is verified as wrong or right.
        encode: Function that converts labels to class indices.

    Raises:
        DataError: A length differs, a true label is not a class, a value of `contaminated` is not
            one of the codes, a row without a target is verified, or two values contradict each
            other.
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
