"""Draws of the contaminated share, the rates and the sharpness, for a report of labels."""

from typing import NamedTuple

import numpy as np
import torch
import xarray as xr

from nbam_pyro.outputs.intervals import transition_draws
from nbam_pyro.outputs.label_readings import Readings

__all__ = ["LabelDraws", "label_draws"]

# Number of draws. With many classes, only each fifth is used for the entries of M.
_DRAWS = 1000
_MANY, _EACH = 100, 5
# Smallest parameter of a Beta distribution: an entry about which nothing is known.
_LEAST = 1e-3


class LabelDraws(NamedTuple):
    """Draws before and after the data, and intervals of M = p(observed | true).

    Attributes:
        posterior: "contamination", "population_rate" and "sharpness" with the dimension "draw",
            "rate" with the dimensions "draw" and "class".
        prior: "rate" with the dimensions "draw" and "class", if labels may be wrong.
        low: Lower end of the interval of each entry, (K, K).
        high: Upper end of the interval of each entry, (K, K).
    """

    posterior: xr.Dataset
    prior: xr.Dataset
    low: np.ndarray
    high: np.ndarray


def label_draws(readings: Readings, *, probability: float) -> LabelDraws:
    """Return draws of all unknown numbers.

    Given a sharpness, rates and share have the distributions of `transition_draws`. Given the share
    s of the N rows, the population rate is Beta(a + N s, b + N (1 - s)) with the pseudo-counts (a,
    b) of the contamination rates. An entry of M outside the diagonal is rate_c T_cy.

    Args:
        readings: Explanations and their weights.
        probability: Probability of the intervals.
    """
    data = readings.data
    n, k = data.log_p.shape
    generator = torch.Generator().manual_seed(0)
    rng = np.random.default_rng(0)
    share, rate = np.zeros(_DRAWS), np.zeros((_DRAWS, k))
    flips, known = np.zeros((2, len(readings.weight) + 1, k, k))
    sharpness = np.full(_DRAWS, readings.right_sharpness)
    edges = np.r_[readings.all_right, readings.weight].cumsum()
    chosen = np.searchsorted(edges, (np.arange(_DRAWS) + 0.5) / _DRAWS * edges[-1])
    for i, (_, transition, log_f) in enumerate(readings.estimates()):
        at = np.flatnonzero(chosen == i + 1)
        if not len(at):
            continue
        drawn = transition_draws(
            log_f,
            data.labels,
            transition,
            prior=readings.prior,
            draws=len(at),
            generator=generator,
            true_labels=data.true_labels,
        )
        share[at], rate[at] = drawn.share.numpy(), drawn.rate.numpy()
        sharpness[at] = readings.sharpness[i]
        flips[i + 1], known[i + 1] = transition.flip.numpy(), drawn.flip_counts.numpy()
    wrong, right = _verified(readings)
    # Whole numbers of rows, so that no contaminated row at all is possible.
    counts = np.floor(share * n + rng.random(_DRAWS)).clip(wrong, n - right)
    a, b = readings.prior.rate
    population = rng.beta(a + counts, b + n - counts)
    order = rng.permutation(_DRAWS)
    classes = {"class": data.classes.to_numpy()}
    posterior = xr.Dataset(
        {
            "contamination": ("draw", (counts / n)[order]),
            "population_rate": ("draw", population[order]),
            "sharpness": ("draw", sharpness[order]),
            "rate": (("draw", "class"), rate[order]),
        },
        coords=classes,
    )
    prior = xr.Dataset({"rate": (("draw", "class"), rng.beta(a, b, (_DRAWS, k)))}, coords=classes)
    low, high = _matrix_interval(rate, flips, known, chosen, probability=probability)
    return LabelDraws(posterior, prior, low, high)


def _matrix_interval(
    rate: np.ndarray,
    flips: np.ndarray,
    counts: np.ndarray,
    chosen: np.ndarray,
    *,
    probability: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of the interval of each entry of M, (K, K) each.

    Args:
        rate: Draws of the rates, (S, K).
        flips: Flip matrix T of each explanation, (G, K, K).
        counts: Numbers of observations on which the entries of T rest, (G, K, K).
        chosen: Explanation of each draw, (S,).
        probability: Probability of the intervals.
    """
    k = rate.shape[1]
    rng, tail = np.random.default_rng(1), (1 - probability) / 2
    used = slice(None, None, _EACH if k > _MANY else 1)
    ends = np.zeros((2, k, k))
    for c in range(k):  # all classes together would need too much memory
        flip, count = flips[chosen[used], c], counts[chosen[used], c]
        drawn = rng.beta(*((count * part).clip(_LEAST) for part in (flip, 1 - flip)))
        drawn[flip == 1] = 1  # two classes
        ends[:, c] = np.quantile(rate[used, c, None] * drawn, [tail, 1 - tail], axis=0)
        ends[:, c, c] = 1 - np.quantile(rate[:, c], [1 - tail, tail])
    return ends[0], ends[1]


def _verified(readings: Readings) -> tuple[int, int]:
    """Return the numbers of labels that are verified as wrong and as right."""
    true, labels = readings.data.true_labels, readings.data.labels
    if true is None:
        return 0, 0
    known = true >= 0
    wrong = int((true != labels)[known].sum())
    return wrong, int(known.sum()) - wrong
