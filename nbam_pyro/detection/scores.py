"""The scores of a detector.

A detector has several members, models that are trained from different initial weights. Each member
gives each row a clean energy E_n, which is low if the row looks normal, and an anomaly energy E_a,
which is low if the row looks like an anomaly. For a model with densities, E_n is the negative log
density of the row under the distribution of normal rows, and E_a that under the distribution of
anomalies. The score of a row is computed from its clean energies. A higher score is more anomalous.
A row has the same score in every batch.
"""

import numpy as np
import torch
from torch import Tensor

__all__ = [
    "grain_of",
    "in_order_of",
    "lift",
    "mean_of_members",
    "settle",
    "shares_below",
    "usual_of",
]

# Number of binary digits that energies keep. Smaller differences are rounding errors.
_DIGITS = 26
_SMALLEST = -1000


def grain_of(values: Tensor) -> Tensor:
    """Return the step to which the energies of each member are rounded, (S, N) -> (S, 1).

    The step is 2^-26 of the median absolute energy, rounded to a power of two.

    Args:
        values: Clean energies (or anomaly energies) of the N training rows by each of the S members
            (models), (S, N).

    Example:
        >>> grain_of(torch.tensor([[0.5, 1.0, 9.0]])).log2()
        tensor([[-25.]], dtype=torch.float64)
    """
    return _step(values.abs().double().median(1, keepdim=True).values)


def settle(values: Tensor, grain: Tensor) -> Tensor:
    """Round energies, so that the same row has the same energy in every batch.

    The last digits of a matrix product depend on its number of rows. Absolute values up to 2^26
    steps are rounded to a multiple of the step. Larger values are rounded to 26 binary digits.

    Args:
        values: Clean energies (or anomaly energies) of N rows by each of the S members (models),
            (S, N).
        grain: Rounding step of each member, (S, 1), from `grain_of`.

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
    """Return the value of the 26th binary digit of each value; for a value of 0, 2^-1000."""
    mantissa, exponent = np.frexp(values.numpy())
    exponent = np.where(mantissa == 0, _SMALLEST, np.maximum(exponent - _DIGITS, _SMALLEST))
    return torch.from_numpy(np.ldexp(1.0, exponent))


def mean_of_members(values: np.ndarray) -> np.ndarray:
    """Return the mean over members, (S, N) -> (N,). It is the same for one row and for many.

    NumPy and torch choose the order of additions by the shape of the array, so this function adds
    members one at a time. It rounds the mean to 13 digits, because members may have the same values
    in another order.

    Args:
        values: Values of N rows, such as clean energies, by each of the S members (models), (S, N).

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
    """Return the highest score of training rows without wild values, and the width, (2,).

    The width is the highest minus the lowest of these scores. A wild value is a value of a feature
    that lies so far from all others that it is clipped before networks see it.

    Args:
        scores: Scores of the training rows, (N,), computed from their clean energies E_n alone. A
            clean energy is low if the row looks normal, so a higher score is more anomalous.
        beyond: Distance by which the furthest value of each row exceeds the largest value that
            networks see, (N,), from `Range.beyond`. It is 0 for a row without wild values.

    Example:
        >>> usual_of(np.array([1.0, 4.0, 0.5]), np.array([0.0, 0.0, 9.0]))
        array([4., 3.])
    """
    near = scores[beyond == 0] if (beyond == 0).any() else scores
    return np.array([near.max(), np.ptp(near) or 1.0])


def lift(scores: np.ndarray, beyond: np.ndarray, usual: np.ndarray) -> np.ndarray:
    """Return scores in which rows with wild values score above all training rows without them.

    Networks do not see how large a wild value is, because it is clipped. Therefore a score that is
    computed from energies alone may be low for such a row.

    Args:
        scores: Scores of rows, (N,), computed from their clean energies E_n alone. A clean energy
            is low if the row looks normal, so a higher score is more anomalous.
        beyond: Distance by which the furthest value of each row exceeds the largest value that
            networks see, (N,), from `Range.beyond`. It is 0 for a row without wild values.
        usual: Highest score and width of the training scores, from `usual_of`, (2,).

    Example:
        >>> lift(np.array([1.0, 0.5]), np.array([0.0, 9.0]), np.array([4.0, 3.0]))
        array([1. , 9.7])
    """
    highest, width = usual
    above = np.maximum(scores, highest) + width * (1 + beyond / (1 + beyond))
    return np.where(beyond > 0, above, scores)


def shares_below(train: Tensor, scores: Tensor) -> np.ndarray:
    """Return the share of training rows with a lower clean energy than each row, (S, M).

    Args:
        train: Clean energies of the N training rows by each of the S members (models), (S, N),
            sorted from low to high.
        scores: Clean energies of M rows by each of the S members (models), (S, M).

    Example:
        >>> shares_below(torch.tensor([[1.0, 2.0, 3.0, 4.0]]), torch.tensor([[0.0, 2.5, 9.0]]))
        array([[0. , 0.5, 1. ]])
    """
    below = torch.searchsorted(train.contiguous(), scores.contiguous())
    return below.double().numpy() / train.shape[1]


def in_order_of(scores: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the values in the order of the scores: the row of the highest score gets the highest.

    Rows with equal scores get the mean of their values.

    Args:
        scores: Scores of rows, (N,).
        values: Values to give to the rows, (N,), in any order.

    Example:
        >>> in_order_of(np.array([0.2, 0.9, 0.2]), np.array([7.0, 1.0, 3.0]))
        array([2., 7., 2.])
    """
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ends = counts.cumsum()
    total = np.r_[0.0, np.sort(values).cumsum()]
    return np.asarray(((total[ends] - total[ends - counts]) / counts)[place])
