"""Checks that a floating-point type is fine enough for measurements with an offset."""

import math

import torch
from torch import Tensor

from nbam_pyro.errors import DataError

__all__ = ["check_resolution", "needed_spacing", "robust_scatter"]

# Largest spacing of numbers, as a share of the robust scatter of the targets.
_SHARE = 0.01


def robust_scatter(values: Tensor) -> float:
    """Return 1.4826 times the median absolute deviation. If it is 0, return the standard deviation.

    Args:
        values: Finite numbers of any shape, at least one.

    Example:
        >>> round(robust_scatter(torch.tensor([-1.0, 0.0, 1.0, 1e6])), 4)
        1.4826
    """
    values = values.detach().flatten().to(torch.promote_types(values.dtype, torch.float32))
    scatter = 1.4826 * float((values - values.median()).abs().median())
    return scatter or float(values.std(correction=0))


def needed_spacing(target: Tensor, scatter: float) -> float:
    """Return the largest relative spacing of numbers that is fine enough for measurements.

    The relative spacing is the distance between a number and the next number of the same type,
    divided by the power of two below the number. The result is a hundredth of the scatter of the
    measurements, divided by the power of two below the absolute value of their median.

    Args:
        target: Finite measurements of any shape, at least one.
        scatter: Robust scatter of the measurements; 0 if it is unknown.

    Returns:
        The spacing, at most 1. It is 1 if the median is 0 or the scatter is unknown; every type
        satisfies this.

    Example:
        >>> needed_spacing(torch.tensor([1e9, 1e9 + 1, 1e9 + 2], dtype=torch.float64), 1.5) < 1e-10
        True
    """
    middle = abs(float(target.detach().flatten().median()))
    if not middle or not scatter:
        return 1.0
    return min(1.0, _SHARE * scatter / math.ldexp(0.5, math.frexp(middle)[1]))


def _coarsest(*values: Tensor) -> tuple[float, torch.dtype]:
    """Return the largest relative spacing of the numbers of some tensors, and the type that has it.

    Example:
        >>> _coarsest(torch.zeros(1, dtype=torch.float64), torch.zeros(1))[1]
        torch.float32
    """
    return max(
        ((torch.finfo(one.dtype).eps, one.dtype) for one in values), key=lambda pair: pair[0]
    )


def check_resolution(prediction: Tensor, target: Tensor, needed: float) -> None:
    """Raise an error if a floating-point type is too coarse for the targets.

    Args:
        prediction: Predictions, of a floating-point type.
        target: Measurements, of a floating-point type.
        needed: Largest relative spacing that is fine enough for the targets (`needed_spacing`).

    Raises:
        DataError: The relative spacing of one of the two types is larger than needed.
    """
    spacing, kind = _coarsest(prediction, target)
    if spacing <= needed:
        return
    which = "target" if target.dtype == kind else "prediction"
    raise DataError(
        f"{which} has type {kind}, which is too coarse for the targets: its numbers lie further "
        "apart than a hundredth of the targets' robust scatter. Subtract the median of the targets "
        "from targets and predictions before they are rounded, or pass both in double precision."
    )
