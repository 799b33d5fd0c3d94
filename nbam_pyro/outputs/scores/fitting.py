"""The posterior of contamination given scores: an average over shapes of one and of two parts."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import softmax

from nbam_pyro.outputs.scores.lone import Lone
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
        lone: Number of unverified rows that score far above all others, and the probability that
            they are anomalies even if there is no second part.
        lone_responsibility: Least probability that one of them is an anomaly; 1 if there are none.
        contamination: Draws of the share of anomalies among these rows, (S,).
        population_rate: Draws of the probability that a new row is an anomaly, (S,).
    """

    second_part: float
    responsibility: np.ndarray
    share_bulk: float
    share_mixed: float
    overlap: float
    lone: Lone
    lone_responsibility: float
    contamination: np.ndarray
    population_rate: np.ndarray


def fit_scores(shape: Shape, *, lone: Lone, seed: int) -> ScoresPosterior:
    """Sample the unknowns of both models, weigh the models by evidence, and draw the shares.

    Args:
        shape: Cells and verified rows.
        lone: Rows that score far above all others. They have cells of their own.
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
    far, alone = _far_cells(shape, lone)
    if far.any():
        # In a share of the draws, all lone rows are anomalies together.
        together = rng.permutation(_DRAWS) < round(alone.probability * _DRAWS)
        chosen[np.ix_(together, far)] = 1.0
    drawn = rng.binomial(free, chosen.clip(0, 1)).sum(1) + known
    shares = [(part.mean(0) @ free + known) / count for part in r]
    responsibility = sum(weight * part.mean(0) for weight, part in zip(weights, r, strict=True))
    responsibility[far] += (1 - responsibility[far]) * alone.probability
    first, last = _RATE_PRIOR
    return ScoresPosterior(
        second_part=float(weights[-1]),
        responsibility=responsibility,
        share_bulk=float(weights[:-1] @ shares[:-1] / max(weights[:-1].sum(), _TINY)),
        share_mixed=float(shares[-1]),
        overlap=_overlap(r[-1], free),
        lone=alone,
        lone_responsibility=float(responsibility[far].min(initial=1.0)),
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


def _far_cells(shape: Shape, lone: Lone) -> tuple[np.ndarray, Lone]:
    """Return which cells have lone rows, (K,), and these rows without verified ones.

    If one of them is verified as normal, normal rows have such scores, and no row is lone.
    """
    counts = shape.cells.counts
    far = counts[::-1].cumsum()[::-1] <= lone.count
    open_rows = int((counts - shape.anomalous)[far].sum())
    if not open_rows or shape.normal[far].any():
        return np.zeros_like(far), Lone()
    return far, replace(lone, count=open_rows)


def _overlap(r: np.ndarray, free: np.ndarray) -> float:
    """Part of the visible anomalies that cannot be distinguished from normal rows."""
    hidden = r.min(1, keepdims=True)
    seen = (r - hidden) / (1 - hidden)
    return float(((seen * (1 - seen)) @ free).mean() / max((seen @ free).mean(), _TINY))
