"""A contaminated share of rows, or a rate of contamination, with an interval."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from nbam_pyro.storage import Probability

__all__ = ["Share", "rate_of", "share_of", "summarise"]


@dataclass(frozen=True)
class Share:
    """Contaminated share of some rows, or probability that a new row is contaminated.

    Attributes:
        mean: Posterior mean of the share or probability.
        low: Lower end of the central interval, or the mean if the mean is smaller than this end.
        high: Upper end of the central interval, or the mean if the mean is larger than this end.
        probability: Posterior probability that the interval contains, for example 0.9.
    """

    mean: Probability
    low: Probability
    high: Probability
    probability: Probability

    def including(self, values: Iterable[float]) -> "Share":
        """Return the same share with an interval that contains some values.

        Args:
            values: Shares or probabilities, from 0 to 1.

        Example:
            >>> Share(0.2, 0.1, 0.3, 0.9).including([0.05, 0.25])
            Share(mean=0.2, low=0.05, high=0.3, probability=0.9)
        """
        low, *_, high = sorted([self.low, self.high, *values])
        return replace(self, low=low, high=high)


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
    return summarise(float(r.mean()), drawn.reshape(len(r), -1).mean(1), probability)


def rate_of(rates: np.ndarray, *, probability: float = 0.9) -> Share:
    """Summarise draws of the probability that a new row is contaminated.

    Args:
        rates: Probability that a new row is contaminated, at each draw of the global latents, (S,).
        probability: Posterior probability that the interval contains, for example 0.9.

    Example:
        >>> rate_of(np.array([0.25, 0.5, 0.75]), probability=1.0)
        Share(mean=0.5, low=0.25, high=0.75, probability=1.0)
    """
    return summarise(float(rates.mean()), rates, probability)


def summarise(mean: float, draws: np.ndarray, probability: float) -> Share:
    """Summarise draws of a share; if the interval excludes the mean, it is widened to the mean.

    Args:
        mean: Estimate of the share, which the interval must contain.
        draws: Draws of the share, (S,), from which the interval is computed.
        probability: Posterior probability that the interval contains, for example 0.9.

    Example:
        >>> summarise(0.3, np.array([0.4, 0.6]), 1.0)
        Share(mean=0.3, low=0.3, high=0.6, probability=1.0)
    """
    tail = (1 - probability) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    return Share(mean, min(float(low), mean), max(float(high), mean), probability)
