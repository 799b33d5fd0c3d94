"""Features as a flat table, for contamination that depends on them."""

from typing import Any

import numpy as np

from nbam_pyro.checks.arguments import as_numbers, check_numbers
from nbam_pyro.errors import DataError

__all__ = ["flat_features"]


def flat_features(x: Any) -> np.ndarray:
    """Return features as a table of floats with one row per datum, (N, S).

    Args:
        x: Numbers, (N, ...), for instance images. An array, lists, a tensor or a frame.

    Raises:
        DataError: The number of features is 0, or a feature is not a finite number.

    Example:
        >>> flat_features(np.zeros((5, 3, 4, 4), np.uint8)).shape
        (5, 48)
    """
    features = as_numbers(x, "x")
    if not features.ndim or not features.size:
        raise DataError(
            f"x has shape {features.shape}; expected one row of features per datum, (N, S)."
        )
    check_numbers(features, "x")
    # Single precision suffices for pixels, and image data are large.
    return features.reshape(len(features), -1).astype(
        np.result_type(features, np.float32), copy=False
    )
