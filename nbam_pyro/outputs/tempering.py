"""Sequential Monte Carlo from a prior to a posterior, for few unknowns and several modes."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp

__all__ = ["Particles", "temper"]

# The effective share of particles that a step of the temperature keeps, and moves per step.
_KEPT, _MOVES = 0.6, 8
# The first moves, one for each half, are bold.
_BOLD = 2


class Particles(NamedTuple):
    """Draws from a posterior, and the evidence.

    Attributes:
        values: Draws of the unknowns, (P, D).
        log_evidence: Logarithm of the mean likelihood under the prior.
    """

    values: np.ndarray
    log_evidence: float


def temper(
    start: np.ndarray,
    log_prior: Callable[[np.ndarray], np.ndarray],
    log_likelihood: Callable[[np.ndarray], np.ndarray],
    rng: np.random.Generator,
) -> Particles:
    """Move draws from the prior to the posterior, through likelihoods with rising exponents.

    Each step raises the exponent, resamples the draws by their weights, and moves them by
    differential evolution: a draw moves by the difference of two draws of the other half.

    Args:
        start: Draws from the prior, (P, D), with an even number P.
        log_prior: Function that returns the log density of the prior, (P, D) -> (P,).
        log_likelihood: Function that returns the log likelihood, (P, D) -> (P,).
        rng: Source of randomness.

    Source: Del Moral, Doucet & Jasra (2006); ter Braak (2006).

    Example:
        >>> rng = np.random.default_rng(0)
        >>> normal = lambda x: -0.5 * (x**2).sum(1)
        >>> found = temper(rng.normal(size=(500, 1)), normal, lambda x: normal(x - 2), rng)
        >>> bool(abs(found.values.mean() - 1) < 0.1)
        True
    """
    values, prior, likelihood = start, log_prior(start), log_likelihood(start)
    exponent, evidence = 0.0, 0.0
    while exponent < 1:
        step = _next_step(likelihood, 1 - exponent)
        weights = step * likelihood
        evidence += float(logsumexp(weights)) - np.log(len(weights))
        chosen = _resampled(weights, rng)
        values, prior, likelihood = values[chosen], prior[chosen], likelihood[chosen]
        exponent = min(1.0, exponent + step)
        half = len(values) // 2
        # Only one half moves at a time, so that the other half is a fixed source of steps.
        for move in range(_MOVES):
            moving, source = (slice(half), slice(half, None))[:: 1 if move % 2 else -1]
            proposed = _proposed(values[moving], values[source], rng, bold=move < _BOLD)
            new_prior, new_likelihood = log_prior(proposed), log_likelihood(proposed)
            gain = new_prior - prior[moving] + exponent * (new_likelihood - likelihood[moving])
            taken = np.log(rng.random(len(proposed))) < gain
            values[moving] = np.where(taken[:, None], proposed, values[moving])
            prior[moving] = np.where(taken, new_prior, prior[moving])
            likelihood[moving] = np.where(taken, new_likelihood, likelihood[moving])
    return Particles(values, evidence)


def _next_step(likelihood: np.ndarray, most: float) -> float:
    """Largest step of the exponent, up to `most`, that keeps enough effective draws."""

    def kept(step: float) -> float:
        weights = step * likelihood
        effective = np.exp(2 * logsumexp(weights) - logsumexp(2 * weights))
        return float(effective) / len(likelihood)

    if kept(most) >= _KEPT:
        return most
    low, high = 0.0, most
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if kept(middle) >= _KEPT else (low, middle)
    return max(low, most * 1e-9)


def _resampled(log_weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Indices of draws, in random order, in proportion to their weights (systematic)."""
    share = np.exp(log_weights - logsumexp(log_weights)).cumsum()
    places = (np.arange(len(share)) + rng.random()) / len(share)
    return rng.permutation(np.searchsorted(share / share[-1], places).clip(0, len(share) - 1))


def _proposed(
    values: np.ndarray, source: np.ndarray, rng: np.random.Generator, *, bold: bool
) -> np.ndarray:
    """Each draw plus a multiple of the difference of two draws of the source.

    A bold step is a whole difference, which leads from one mode to another.
    """
    count, unknowns = values.shape
    first, second = rng.integers(len(source), size=(2, count))
    factor = 1.0 if bold else 2.38 / np.sqrt(2 * unknowns) * rng.uniform(0.5, 1.2, (count, 1))
    steps = factor * (source[first] - source[second])
    return np.asarray(values + steps + rng.normal(0, 1e-4, values.shape))
