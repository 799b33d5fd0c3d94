"""Whether predictions say more about labels than the frequencies of the classes do."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["LEARNED", "gain_over_frequencies", "mean_in_standard_errors"]

LEARNED = 3.0
"""Gain over class frequencies, in standard errors, from which a network has learned something.

Two would be too few, because rates and flips are fitted to the same rows.
"""


def gain_over_frequencies(
    log_marginals: Float[Tensor, " n"],
    labels: Int[Tensor, " n"],
    weights: Float[Tensor, " n"],
    num_classes: int,
) -> float:
    """Return how much more probable labels are given x than under class frequencies alone.

    The gain is the mean difference of the log probabilities, in units of its standard error.

    Args:
        log_marginals: Log p(y | x) of each row, (N,).
        labels: Observed labels y, (N,).
        weights: Number of times that each row counts for the frequencies, (N,). Rows of weight 0
            are left out.
        num_classes: Number of classes K.

    Example:
        >>> labels = torch.tensor([0, 1] * 50)
        >>> even, sure = torch.full((2, 100), 0.5).log()[0], torch.full((100,), 0.9).log()
        >>> gain_over_frequencies(even, labels, torch.ones(100), 2)
        0.0
        >>> gain_over_frequencies(sure, labels, torch.ones(100), 2) > LEARNED
        True
    """
    counts = torch.bincount(labels, weights, num_classes)
    frequency = (counts / counts.sum()).log()[labels].to(log_marginals)
    return mean_in_standard_errors((log_marginals - frequency)[weights > 0])


def mean_in_standard_errors(gains: Tensor) -> float:
    """Return the mean of some values in units of its standard error.

    Args:
        gains: Values, (N,).

    Returns:
        The mean divided by its standard error. It is 0 for a single value, and infinite if all
        values are equal and not 0.

    Example:
        >>> round(mean_in_standard_errors(torch.tensor([1.0, 3.0])), 3)
        2.0
    """
    # The standard error of one value is unknown.
    error = float(gains.std()) / math.sqrt(len(gains)) if len(gains) > 1 else math.inf
    mean = float(gains.mean())
    return mean / error if error > 0 else math.copysign(math.inf, mean) if mean else 0.0
