"""Features of rows, for contamination that depends on them."""

from typing import Any

import numpy as np

from nbam_pyro.checks.arguments import as_numbers, check_numbers
from nbam_pyro.errors import DataError

__all__ = ["flat_features"]


def flat_features(x: Any) -> np.ndarray:
    """Features as floats, one row per datum, (N, S).

    Args:
        x: numbers, (N, ...), for instance images; an array, lists, a tensor or a frame.

    Raises:
        DataError: there are none, or they are not finite numbers.

    Example:
        >>> flat_features(np.zeros((5, 3, 4, 4), np.uint8)).shape
        (5, 48)
    """
    features = as_numbers(x, "x")
    if not features.ndim or not features.size:
        raise DataError(
            f"x has shape {features.shape}; give one row of features per datum, (N, S)."
        )
    check_numbers(features, "x")
    # Pixels need no more than single precision, and images are many.
    return features.reshape(len(features), -1).astype(
        np.result_type(features, np.float32), copy=False
    )
