"""The posterior of contamination given scores: an average over shapes of one and of two parts."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import softmax

from nbam_pyro.outputs.scores.shape import BULK, MIXED, Shape, prior_shares
from nbam_pyro.outputs.tempering import temper

__all__ = ["ScoresPosterior", "fit_scores", "shares_before"]

# Prior probabilities of a skewed bulk alone, an even bulk alone, and a second part above a skewed
# bulk. With them, and with the prior on hidden anomalies, the share is about 2 % on development
# tables without anomalies.
_PRIOR = (0.87, 0.05, 0.08)
_TINY = 1e-12
_PARTICLES, _DRAWS = 400, 1000
# Pseudo-counts of the rate of new rows: anomalies and normal rows.
_RATE_PRIOR = (1.0, 9.0)


@dataclass(frozen=True, kw_only=True)
class ScoresPosterior:
    """What scores say about the contamination of their rows.

    Attributes:
        second_part: Posterior probability that scores have a second part: visible anomalies, which
            lie above the bulk.
        responsibility: Probability that an unverified row of each cell is an anomaly, (K,).
        share_bulk: Share of anomalies if there is no second part.
        share_mixed: Share of anomalies if there is a second part.
        overlap: Part of the visible anomalies that cannot be distinguished from normal rows, if
            there is a second part, from 0 to 1: the sum of r (1 - r) divided by the sum of r, with
            the responsibilities r.
        contamination: Draws of the share of anomalies among these rows, (S,).
        population_rate: Draws of the probability that a new row is an anomaly, (S,).
    """

    second_part: float
    responsibility: np.ndarray
    share_bulk: float
    share_mixed: float
    overlap: float
    contamination: np.ndarray
    population_rate: np.ndarray


def fit_scores(shape: Shape, *, seed: int) -> ScoresPosterior:
    """Sample the unknowns of both models, weigh the models by evidence, and draw the shares.

    Args:
        shape: Cells and verified rows.
        seed: Seed for all draws.
    """
    rng = np.random.default_rng(seed)
    models = ((shape, BULK), (replace(shape, even=True), BULK), (shape, MIXED))
    found = [
        temper(model.draws(_PARTICLES, unknowns, rng), model.log_prior, model.log_likelihood, rng)
        for model, unknowns in models
    ]
    weights = softmax(np.log(_PRIOR) + [one.log_evidence for one in found])
    r = [
        model.shares(one.values).responsibility
        for (model, _), one in zip(models, found, strict=True)
    ]
    free = shape.cells.counts - shape.normal - shape.anomalous
    known, count = int(shape.anomalous.sum()), int(shape.cells.counts.sum())
    chosen = np.concatenate(
        [
            part[rng.integers(len(part), size=size)]
            for part, size in zip(r, _sizes(weights), strict=True)
        ]
    )
    drawn = rng.binomial(free, chosen.clip(0, 1)).sum(1) + known
    shares = [(part.mean(0) @ free + known) / count for part in r]
    first, last = _RATE_PRIOR
    return ScoresPosterior(
        second_part=float(weights[-1]),
        responsibility=sum(weight * part.mean(0) for weight, part in zip(weights, r, strict=True)),
        share_bulk=float(weights[:-1] @ shares[:-1] / max(weights[:-1].sum(), _TINY)),
        share_mixed=float(shares[-1]),
        overlap=_overlap(r[-1], free),
        contamination=drawn / count,
        population_rate=rng.beta(first + drawn, last + count - drawn),
    )


def shares_before(rows: int) -> np.ndarray:
    """Draw the share of anomalies among some rows before any score is seen, (S,).

    Args:
        rows: Number of rows.
    """
    rng = np.random.default_rng(0)
    sizes = _sizes(np.array(_PRIOR))
    shares = [
        prior_shares(size, unknowns, rng)
        for size, unknowns in zip(sizes, (BULK, BULK, MIXED), strict=True)
    ]
    return np.asarray(rng.binomial(rows, np.concatenate(shares)) / rows)


def _sizes(weights: np.ndarray) -> np.ndarray:
    """Numbers of draws from each model, in proportion to the weights, with the sum `_DRAWS`."""
    return np.diff(np.round(np.r_[0, weights.cumsum() / weights.sum()] * _DRAWS).astype(int))


def _overlap(r: np.ndarray, free: np.ndarray) -> float:
    """Part of the visible anomalies that cannot be distinguished from normal rows."""
    hidden = r.min(1, keepdims=True)
    seen = (r - hidden) / (1 - hidden)
    return float(((seen * (1 - seen)) @ free).mean() / max((seen @ free).mean(), _TINY))
