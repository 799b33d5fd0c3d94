"""How sure it is that one thing predicts better than another."""

import math

from torch import Tensor


def mean_in_errors(gains: Tensor) -> float:
    """The mean of some gains in units of its standard error; 0 for one row alone.

    Example:
        >>> import torch
        >>> round(mean_in_errors(torch.tensor([1.0, 3.0])), 3)
        2.0
    """
    # One row alone says nothing about how far to trust it.
    error = float(gains.std()) / math.sqrt(len(gains)) if len(gains) > 1 else math.inf
    mean = float(gains.mean())
    return mean / error if error > 0 else math.copysign(math.inf, mean) if mean else 0.0
