"""One row, one label: scores that do not depend on the batch, and the threshold between them."""

import numpy as np
import torch
from torch import Tensor

__all__ = ["grain_of", "lift", "mean_of_members", "settle", "threshold_of", "usual_of"]

# Differences of energies below this share of the usual one are rounding.
_DIGITS = 26
_SMALLEST = -1000
# At most this share of the training rows is flagged together.
_MOST = 0.5


def grain_of(values: Tensor) -> Tensor:
    """The step to which the energies of each member are rounded, (S, N) -> (S, 1).

    The step is 2^-26 of the median size of the energies, as a power of two.

    Args:
        values: Energies of the training rows by member, (S, N).

    Example:
        >>> grain_of(torch.tensor([[0.5, 1.0, 9.0]])).log2()
        tensor([[-25.]], dtype=torch.float64)
    """
    return _step(values.abs().double().median(1, keepdim=True).values)


def settle(values: Tensor, grain: Tensor) -> Tensor:
    """Round energies, so that the same row has the same energy in every batch.

    The last digits of a matrix product depend on how many rows it has. Sizes up to 2^26 steps are
    rounded to whole steps, and larger ones to 26 binary digits.

    Args:
        values: Energies by member, (S, N).
        grain: The step of each member, (S, 1), from `grain_of`.

    Returns:
        The rounded energies in float64, (S, N).

    Example:
        >>> settle(torch.tensor([[0.26, 5.1]]), torch.tensor([[0.5]]))
        tensor([[0.5000, 5.0000]], dtype=torch.float64)
    """
    exact = values.double()
    step = torch.maximum(_step(exact), grain.double())
    return (exact / step).round() * step


def _step(values: Tensor) -> Tensor:
    """The value of the 26th binary digit; next to nothing, but above 0, for values of 0."""
    mantissa, exponent = np.frexp(values.numpy())
    exponent = np.where(mantissa == 0, _SMALLEST, np.maximum(exponent - _DIGITS, _SMALLEST))
    return torch.from_numpy(np.ldexp(1.0, exponent))


def mean_of_members(values: np.ndarray) -> np.ndarray:
    """The mean over members, (S, N) -> (N,), by the same additions for one row and for many.

    NumPy and torch choose the order of additions by the shape of the array. Differences below
    10^-13 of the mean are rounding: members may have the same values in another order.

    Example:
        >>> mean_of_members(np.array([[1.0, 2.0], [3.0, 4.0]]))
        array([2., 3.])
    """
    total = np.zeros(values.shape[1])
    for member in values:
        total = total + member
    mantissa, exponent = np.frexp(total / len(values))
    return np.ldexp(mantissa.round(13), exponent)


def usual_of(scores: np.ndarray, beyond: np.ndarray) -> np.ndarray:
    """The highest training score of rows without wild values, and the width of these scores, (2,).

    Args:
        scores: Scores of the training rows by their energies, (N,).
        beyond: How far their values lie outside of what networks see, (N,).

    Example:
        >>> usual_of(np.array([1.0, 4.0, 0.5]), np.array([0.0, 0.0, 9.0]))
        array([4., 3.])
    """
    near = scores[beyond == 0] if (beyond == 0).any() else scores
    return np.array([near.max(), np.ptp(near) or 1.0])


def lift(scores: np.ndarray, beyond: np.ndarray, usual: np.ndarray) -> np.ndarray:
    """Put rows with wild values above all training rows without them.

    Networks that compare directions do not see how large a value is.

    Args:
        scores: Scores by energies, (N,).
        beyond: How far values lie outside of what networks see, (N,).
        usual: From `usual_of`, (2,).

    Example:
        >>> lift(np.array([1.0, 0.5]), np.array([0.0, 9.0]), np.array([4.0, 3.0]))
        array([1. , 9.7])
    """
    highest, width = usual
    above = np.maximum(scores, highest) + width * (1 + beyond / (1 + beyond))
    return np.where(beyond > 0, above, scores)


def threshold_of(scores: np.ndarray, rate: float) -> float:
    """The score above which a row is an anomaly.

    It lies between the scores of two training rows, so that the share above it is the rate. Rows
    of equal scores have equal labels: where the rate falls among them, all of them are flagged,
    unless that would flag more than half of the rows. Then only rows above them are.

    Args:
        scores: Scores of the training rows, (N,).
        rate: The share of anomalies among them, up to one half.

    Returns:
        The threshold. It is the highest score where no row is flagged.

    Example:
        >>> threshold_of(np.arange(11.0), 0.25)
        7.5
        >>> threshold_of(np.array([0.0, 1.0, 2.0, 2.0, 1.0, 0.0]), 0.2)  # both of them
        1.0
        >>> threshold_of(np.ones(10), 0.2)
        1.0
    """
    ordered = np.sort(scores)
    # Rounding of 1 - rate must not move a whole number.
    place = round((1 - rate) * (len(ordered) - 1), 6)
    at = int(place)
    if at == len(ordered) - 1:
        return float(ordered[-1])
    lower, upper = ordered[at], ordered[at + 1]
    if lower == upper:
        tied = ordered == upper
        first = int(tied.argmax())
        if first == 0 or len(ordered) - first > _MOST * len(ordered):
            return float(upper)
        lower = ordered[first - 1]
    between = lower + (upper - lower) * (place - at)
    return float(min(between, np.nextafter(upper, -np.inf)))
