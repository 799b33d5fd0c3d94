"""A contaminated share of rows, or a rate of contamination, with an interval."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from nbam_pyro.storage import Probability

__all__ = ["NETWORK_ERROR", "EstimateError", "Share", "ShareDraws", "rate_of", "summarise"]


@dataclass(frozen=True, kw_only=True)
class EstimateError:
    """Error of an estimated share of wrong labels that no draw of the latents contains.

    It is what remains where the sharpness of the predictions is right: the network confuses some
    classes more than others. The error of a share s is `scale` sqrt(s (1 - s)) times a variate. The
    variate is Normal, or with probability `broad` a Student-t variate, `broader` times as large.

    Attributes:
        scale: Standard deviation of the error, as a part of sqrt(s (1 - s)).
        broad: Probability of a larger error.
        broader: How many times as large such an error is.
        freedom: Degrees of freedom of the Student-t distribution.
    """

    scale: float
    broad: float
    broader: float
    freedom: float

    def added(self, shares: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return draws of a share with an error, from 0 to 1.

        Args:
            shares: Draws of the share without the error, (S,).
            rng: Random number generator.
        """
        count = len(shares)
        large = self.broader * rng.standard_t(self.freedom, count)
        error = np.where(rng.random(count) < self.broad, large, rng.normal(size=count))
        added: np.ndarray = shares + self.scale * np.sqrt(shares * (1 - shares)) * error
        return added.clip(0, 1)


# Chosen with the sharpness prior, on the development tables: intervals of tables that are left out
# contain the truth more often, and have a smaller interval score.
NETWORK_ERROR = EstimateError(scale=0.02, broad=0.15, broader=2.0, freedom=2.0)


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

    def unknown(self, *, least: float = 0.0, most: float = 1.0) -> "Share":
        """Return the same share with an interval that contains 0 and one half.

        That is the interval where the data cannot tell.

        Args:
            least: Share that is verified as contaminated, so that 0 is impossible.
            most: One minus the share that is verified as clean.

        Example:
            >>> Share(0.2, 0.1, 0.3, 0.9).unknown(least=0.05)
            Share(mean=0.2, low=0.05, high=0.5, probability=0.9)
        """
        return self.including(np.clip([0.0, 0.5], least, most).tolist())


class ShareDraws:
    """Draws of the contaminated share of rows that are added part by part.

    Only sums over rows are kept, two numbers for each draw.

    Args:
        seed: Seed for the switches. One set of switches is drawn for each draw of the latents.

    Example:
        >>> draws = ShareDraws()
        >>> draws.add(np.array([[0.0, 0.0], [0.0, 0.0]]))
        >>> draws.add(np.array([[1.0, 1.0], [1.0, 1.0]]))
        >>> draws.summary()
        Share(mean=0.5, low=0.5, high=0.5, probability=0.9)
    """

    def __init__(self, *, seed: int = 0) -> None:
        self._rng = np.random.default_rng(seed)
        self._rows = self._open_rows = 0
        self._expected = 0.0
        self._wrong: np.ndarray | float = 0.0
        self._open_wrong: np.ndarray | float = 0.0

    def add(self, r: np.ndarray, *, known: np.ndarray | None = None) -> None:
        """Add rows.

        Args:
            r: Responsibilities P(z=1 | x, y, latents) at each draw of the global latents,
                (S, n, ...), with the same S in every call.
            known: Whether each target is verified, (n, ...); such targets have no error. None if no
                target is.
        """
        drawn = (self._rng.random(r.shape) < r).reshape(len(r), -1)
        open_ = np.full(drawn.shape[1], True) if known is None else ~known.ravel()
        self._rows += drawn.shape[1]
        self._open_rows += int(open_.sum())
        self._expected += float(r.mean(dtype=np.float64)) * drawn.shape[1]
        self._wrong = self._wrong + drawn.sum(1)
        self._open_wrong = self._open_wrong + drawn[:, open_].sum(1)

    def summary(self, *, probability: float = 0.9, error: EstimateError | None = None) -> Share:
        """Return the share of all rows that were added.

        Args:
            probability: Posterior probability that the interval contains, for example 0.9.
            error: Error of the share that the draws do not contain; None without one.
        """
        shares = np.asarray(self._wrong / self._rows)
        if error is not None and self._open_rows:
            of_open = np.asarray(self._open_wrong / self._open_rows)
            part = self._open_rows / self._rows
            shares = shares + part * (error.added(of_open, self._rng) - of_open)
        return summarise(self._expected / self._rows, shares, probability)


def rate_of(
    rates: np.ndarray, *, probability: float = 0.9, error: EstimateError | None = None
) -> Share:
    """Summarise draws of the probability that a new row is contaminated.

    Args:
        rates: Probability that a new row is contaminated, at each draw of the global latents, (S,).
        probability: Posterior probability that the interval contains, for example 0.9.
        error: Error of the rate that the draws do not contain; None without one.

    Example:
        >>> rate_of(np.array([0.25, 0.5, 0.75]), probability=1.0)
        Share(mean=0.5, low=0.25, high=0.75, probability=1.0)
    """
    drawn = rates if error is None else error.added(rates, np.random.default_rng(0))
    return summarise(float(rates.mean()), drawn, probability)


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
