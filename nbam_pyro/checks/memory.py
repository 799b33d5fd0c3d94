"""Checks that an array fits into memory before it is allocated."""

import psutil

from nbam_pyro.errors import DataError

__all__ = ["check_flip_memory"]

# Number of arrays of this size: prior counts, location and scale of the guide, their gradients, and
# two moments of AdamW.
_COPIES = 10


def check_flip_memory(num_classes: int) -> None:
    """Raise an error if a flip matrix T = p(observed | true, wrong), (K, K), needs too much memory.

    Args:
        num_classes: Number of classes K.

    Raises:
        DataError: T and the copies that a fit needs take more bytes than are available.

    Example:
        >>> check_flip_memory(1000)
    """
    needed = _COPIES * 4 * num_classes**2
    available = psutil.virtual_memory().available
    if needed > available:
        raise DataError(
            f"{num_classes} classes need a flip matrix T of {num_classes} x {num_classes}. Fitting "
            f"it takes about {needed} bytes, but {available} are available. Merge classes, or "
            "check that the label column is not an identifier or a measurement."
        )
