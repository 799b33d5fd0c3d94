"""What does not fit into memory is refused before it is allocated."""

import psutil

from nbam_pyro.errors import DataError

__all__ = ["check_flip_memory"]

# Prior counts, location and spread of the guide, their gradients and two moments of AdamW.
_COPIES = 10


def check_flip_memory(num_classes: int) -> None:
    """Refuse a flip matrix T (K, K) that would not fit.

    Args:
        num_classes: K.

    Raises:
        DataError: T and what fitting keeps beside it need more bytes than are available.

    Example:
        >>> check_flip_memory(1000)
    """
    needed = _COPIES * 4 * num_classes**2
    available = psutil.virtual_memory().available
    if needed > available:
        raise DataError(
            f"{num_classes} classes need a flip matrix T of {num_classes} x {num_classes}: fitting "
            f"it takes about {needed} bytes and {available} are available. Group the classes, or "
            "check that the label column is not an identifier or a measurement."
        )
