"""How much is contaminated, with an interval."""

from dataclasses import dataclass

import numpy as np

from nbam_pyro.storage import Probability

__all__ = ["Share", "share_of"]


@dataclass(frozen=True)
class Share:
    """A share of rows.

    Attributes:
        mean: posterior mean.
        low: lower end of the central interval.
        high: upper end.
        probability: of the interval.
    """

    mean: Probability
    low: Probability
    high: Probability
    probability: Probability


def share_of(r: np.ndarray, *, probability: float = 0.9, seed: int = 0) -> Share:
    """The share that is contaminated, given responsibilities at each draw, (S, N, ...)."""
    drawn = np.random.default_rng(seed).random(r.shape) < r
    shares = drawn.reshape(len(r), -1).mean(1)
    tail = (1 - probability) / 2
    low, high = np.quantile(shares, [tail, 1 - tail])
    return Share(float(r.mean()), float(low), float(high), probability)
