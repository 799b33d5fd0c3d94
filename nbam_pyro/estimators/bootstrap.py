"""Intervals that contain what another training of the whole estimator would change."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from nbam_pyro.errors import NBAMWarning
from nbam_pyro.outputs.share import Share
from nbam_pyro.training.parallel import independent

__all__ = ["bootstrapped"]

# Number of refits, and draws from the posterior of each.
_REFITS, _DRAWS = 20, 200
# Half the width of a 90 % interval of a Normal distribution, in standard deviations.
_HALF = 1.645

Refit = Callable[[np.ndarray, int], Any]
"""Function that takes weights of the rows, (N,), and a seed, and returns a fitted estimator."""


def bootstrapped(
    refit: Refit, share: Share, rate: Share, *, rows: int, n_jobs: int | None, seed: int
) -> tuple[Share, Share]:
    """Widen the intervals of a share and of a rate by refits with random weights of the rows.

    The weights are those of the Bayesian bootstrap: Dirichlet(1, ..., 1), times the number of rows.
    Each refit has another seed and chooses everything again, such as epochs, modes or the mean. The
    posteriors of a refit are approximated by Normal distributions. The new intervals are those of
    all refits together, joined with the intervals of the fit itself.

    Args:
        refit: Function that fits the estimator again.
        share: Share of the rows that is contaminated.
        rate: Probability that a new row is contaminated.
        rows: Number of rows, N.
        n_jobs: Number of processes, as in `fit`.
        seed: Seed of weights and refits.

    Source: Rubin (1981).
    """
    rng = np.random.default_rng(seed)
    weights = rows * rng.dirichlet(np.ones(rows), size=_REFITS)
    seeds = [seed + 1 + number for number in range(_REFITS)]
    calls = [(refit, one, own) for one, own in zip(weights, seeds, strict=True)]
    refits = independent(_summary, calls, n_jobs=n_jobs, seeds=seeds)
    middles, deviations = np.array(refits).transpose(1, 2, 0)[..., None]
    drawn = middles + deviations * rng.normal(size=(2, _REFITS, _DRAWS))
    return _joined(share, drawn[0]), _joined(rate, drawn[1])


def _summary(refit: Refit, weights: np.ndarray, seed: int) -> list[tuple[float, float]]:
    """Return means of share and rate, and their standard deviations, of one refit."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NBAMWarning)  # the fit itself has given them
        one = refit(weights, seed)
    # A weight changes how much a row counts in the refit, but not its part in the share.
    r = one.responsibility_
    low, high = one.population_rate_interval_
    return [
        (float(r.mean()), one.population_rate_),
        (float(np.sqrt((r * (1 - r)).sum()) / len(r)), (high - low) / (2 * _HALF)),
    ]


def _joined(share: Share, draws: np.ndarray) -> Share:
    tail = (1 - share.probability) / 2
    low, high = np.quantile(draws, [tail, 1 - tail]).clip(0, 1)
    return share.including([float(low), float(high)])
