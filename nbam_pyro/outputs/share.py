"""A contaminated share of rows with an interval."""

from dataclasses import dataclass

import numpy as np

from nbam_pyro.storage import Probability

__all__ = ["Share", "share_of"]


@dataclass(frozen=True)
class Share:
    """Share of some rows that is contaminated, from 0 to 1.

    Attributes:
        mean: Posterior mean of the share.
        low: Lower end of the central interval.
        high: Upper end of the central interval.
        probability: Posterior probability that the interval contains, for example 0.9.
    """

    mean: Probability
    low: Probability
    high: Probability
    probability: Probability


def share_of(r: np.ndarray, *, probability: float = 0.9, seed: int = 0) -> Share:
    """Estimate the share that is contaminated from responsibilities at draws of the latents.

    Args:
        r: Responsibilities P(z=1 | x, y, latents) at each draw of the global latents, (S, N, ...).
        probability: Posterior probability that the interval contains, for example 0.9.
        seed: Seed for the switches. One set of switches is drawn for each draw of the latents.

    Example:
        >>> share_of(np.array([[0.0, 0.0, 1.0, 1.0]]))
        Share(mean=0.5, low=0.5, high=0.5, probability=0.9)
    """
    drawn = np.random.default_rng(seed).random(r.shape) < r
    shares = drawn.reshape(len(r), -1).mean(1)
    tail = (1 - probability) / 2
    low, high = np.quantile(shares, [tail, 1 - tail])
    return Share(float(r.mean()), float(low), float(high), probability)
