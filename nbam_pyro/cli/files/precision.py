"""Digits that numbers lose when they become float64."""

import numpy as np
import pandas as pd

from nbam_pyro.cli.files.messages import counted

__all__ = ["EXACT", "rounded"]

EXACT = 2.0**53
"""float64 holds every whole number up to this one, but not every larger one."""


def rounded(cells: pd.Series | np.ndarray, values: np.ndarray) -> str | None:
    """Describe what was lost when numbers became float64.

    Args:
        cells: Numbers before the conversion, (N,): integers, decimals or floats without missing
            values.
        values: The same numbers as float64, (N,).

    Returns:
        A phrase that says how many whole numbers were rounded, or how many other numbers became
        equal to another one; None if nothing was lost.

    Example:
        >>> exact = np.array([2**53, 2**53 + 1])
        >>> rounded(exact, exact.astype(float))
        '1 whole number beyond 2^53 was rounded'
        >>> rounded(exact - 2, (exact - 2).astype(float)) is None
        True
    """
    kind = cells.dtype.kind
    if kind == "b" or (kind == "f" and cells.dtype != np.longdouble):
        return None
    if kind in "iu":
        beyond = np.isfinite(values) & (np.abs(values) >= EXACT)
        return _rounded_whole(cells[beyond].tolist(), values[beyond])
    exact = cells.tolist()
    if pd.api.types.infer_dtype(exact) == "integer":
        return _rounded_whole(exact, values)
    merged = len(set(exact)) - len(np.unique(values))
    if merged <= 0:
        return None
    return (
        f"numbers of more than 15 digits were rounded, and {merged} of them now equal another one"
    )


def _rounded_whole(exact: list[int], values: np.ndarray) -> str | None:
    lost = sum(a != int(b) for a, b in zip(exact, values.tolist(), strict=True))
    if not lost:
        return None
    many = counted(lost, "whole number")
    return f"{many} beyond 2^53 {'was' if lost == 1 else 'were'} rounded"
