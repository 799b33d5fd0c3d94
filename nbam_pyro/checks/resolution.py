"""Whether numbers of a type lie close enough together for measurements with an offset."""

import math

import torch
from torch import Tensor

from nbam_pyro.errors import DataError

__all__ = ["check_resolution", "needed_spacing", "robust_scatter"]

# The spacing of numbers may be this share of the robust scatter of the targets.
_SHARE = 0.01


def robust_scatter(values: Tensor) -> float:
    """1.4826 median absolute deviations; where that is 0, the standard deviation.

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
    """The largest relative spacing of numbers that resolves measurements.

    A hundredth of their scatter, relative to the power of two below the size of their median.

    Args:
        target: Finite measurements of any shape, at least one.
        scatter: Their robust scatter; 0 where it is not known.

    Returns:
        At most 1: measurements around 0 ask for nothing, and neither does an unknown scatter.

    Example:
        >>> needed_spacing(torch.tensor([1e9, 1e9 + 1, 1e9 + 2], dtype=torch.float64), 1.5) < 1e-10
        True
    """
    middle = abs(float(target.detach().flatten().median()))
    if not middle or not scatter:
        return 1.0
    return min(1.0, _SHARE * scatter / math.ldexp(0.5, math.frexp(middle)[1]))


def _coarsest(*values: Tensor) -> tuple[float, torch.dtype]:
    """The largest relative spacing of the numbers of some tensors, and the type that has it.

    Example:
        >>> _coarsest(torch.zeros(1, dtype=torch.float64), torch.zeros(1))[1]
        torch.float32
    """
    return max(
        ((torch.finfo(one.dtype).eps, one.dtype) for one in values), key=lambda pair: pair[0]
    )


def check_resolution(prediction: Tensor, target: Tensor, needed: float) -> None:
    """Refuse numbers that are too coarse for the targets.

    Args:
        prediction: Predictions, of a floating-point type.
        target: Measurements, of a floating-point type.
        needed: The largest relative spacing that resolves the targets (`needed_spacing`).

    Raises:
        DataError: The numbers of one of the two types lie further apart than that.
    """
    spacing, kind = _coarsest(prediction, target)
    if spacing <= needed:
        return
    which = "target" if target.dtype == kind else "prediction"
    raise DataError(
        f"{which} has type {kind}, whose numbers lie too far apart at the size of the targets, by "
        "more than a hundredth of the targets' robust scatter. Subtract the median of the targets "
        "from targets and predictions alike before they are rounded, or pass both in double "
        "precision."
    )
