"""Checks of responsibilities and of verified switches that decisions are made from."""

import math
from typing import Any

import numpy as np

from nbam_pyro.checks.arguments import as_numbers, check_numbers, place_of
from nbam_pyro.checks.codes import codes_of, switches
from nbam_pyro.checks.containers import unwrapped
from nbam_pyro.errors import DataError

__all__ = ["as_probabilities", "as_switches"]


def as_probabilities(values: Any, name: str) -> np.ndarray:
    """Return probabilities as an array.

    Args:
        values: Probabilities, (N, ...), in any container.
        name: Name of the argument, which the error message shows.

    Raises:
        DataError: There are no rows, or a value is not in [0, 1].
    """
    numbers = np.atleast_1d(as_numbers(values, name)).astype(float)
    if not numbers.size:
        raise DataError(f"{name} has no rows. Pass at least one probability.")
    check_numbers(numbers, name)
    # Rounding may make float32 probabilities a little larger than one.
    if (wrong := (numbers < 0) | (numbers > 1 + 1e-5)).any():
        raise DataError(
            f"{name} is {numbers[wrong][0]} in {place_of(wrong)}; probabilities must be finite and "
            "in [0, 1]."
        )
    return numbers.clip(max=1.0)


def as_switches(values: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Return verified switches as integers, (N, ...): 1 wrong, 0 right, -1 unknown.

    Args:
        values: Whether each target is verified as wrong, (N, ...): 1 or true for wrong, 0 or false
            for right, NaN, None or -1 if it is not verified. None if no target is verified.
        shape: Shape of the responsibilities, (N, ...).

    Raises:
        DataError: The shape is another one, or a value is not one of these.
    """
    if values is not None and len(shape) > 1:
        array = np.asarray(unwrapped(values), dtype=object)
        if array.shape != shape:
            raise DataError(
                f"verified has shape {array.shape}, but the responsibilities have shape {shape}. "
                "Give one value for each."
            )
        values = array.ravel()
    return codes_of("verified", values, math.prod(shape), _or_unknown).reshape(shape)


def _or_unknown(values: np.ndarray) -> np.ndarray:
    unknown = np.array([str(value).removesuffix(".0") == "-1" for value in values.tolist()])
    codes = np.full(len(values), -1)
    codes[~unknown] = switches(values[~unknown]) if not unknown.all() else []
    return codes
