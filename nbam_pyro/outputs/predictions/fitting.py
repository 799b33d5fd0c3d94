"""The posterior of contamination given residuals: an average over four kinds of distributions."""

from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from nbam_pyro.models.priors.pseudo_counts import Beta
from nbam_pyro.outputs.predictions.cells import ResidualCells
from nbam_pyro.outputs.predictions.errors import Errors, prior_rates
from nbam_pyro.outputs.tempering import temper

__all__ = ["PredictionsPosterior", "fit_errors", "shares_before"]

_TINY = 1e-12
_PARTICLES, _DRAWS = 300, 1000
# Whether tails are heavy, and whether there is contamination.
_KINDS = ((False, False), (True, False), (False, True), (True, True))
# Prior probabilities of the kinds. Clean residuals often have a shape that no family fits exactly,
# therefore contamination has to explain clearly more than a heavy tail does.
_PRIOR = (0.4, 0.4, 0.1, 0.1)


@dataclass(frozen=True, kw_only=True)
class PredictionsPosterior:
    """What residuals say about the contamination of their rows.

    Attributes:
        weights: Posterior probabilities of normal tails and of heavy tails without contamination,
            and of both with contamination, (4,).
        shares: Contaminated share of the rows under each of these four models, (4,).
        responsibility: Probability that an unverified row of each cell is contaminated, (K,).
        overlap: Part of the contaminated rows that cannot be distinguished from clean rows, if
            there is contamination: the sum of r (1 - r) divided by the sum of r, with the
            responsibilities r.
        contamination: Draws of the number of contaminated rows among the rows with a measurement,
            (S,).
        population_rate: Draws of the probability that a new row is contaminated, (S,).
    """

    weights: np.ndarray
    shares: np.ndarray
    responsibility: np.ndarray
    overlap: float
    contamination: np.ndarray
    population_rate: np.ndarray

    @property
    def contaminated(self) -> float:
        """Posterior probability that there is contamination."""
        return float(self.weights[2:].sum())

    @property
    def share_contaminated(self) -> float:
        """Contaminated share if there is contamination."""
        return float(self.weights[2:] @ self.shares[2:] / max(self.contaminated, _TINY))


def fit_errors(
    cells: ResidualCells, normal: np.ndarray, wrong: np.ndarray, *, prior: Beta, seed: int
) -> PredictionsPosterior:
    """Sample the unknowns of all kinds, weigh the kinds by evidence, and draw the shares.

    Args:
        cells: Residuals.
        normal: Number of rows in each cell that are verified as right, (K,).
        wrong: Number of rows in each cell that are verified as contaminated, (K,).
        prior: Pseudo-counts of the contamination rate.
        seed: Seed for all draws.
    """
    rng = np.random.default_rng(seed)
    kinds = [
        Errors(cells=cells, normal=normal, wrong=wrong, prior=prior, heavy=heavy, mixed=mixed)
        for heavy, mixed in _KINDS
    ]
    found = [
        temper(kind.draws(_PARTICLES, rng), kind.log_prior, kind.log_likelihood, rng)
        for kind in kinds
    ]
    weights = softmax(np.log(_PRIOR) + [one.log_evidence for one in found])
    r = [kind.responsibility(one.values) for kind, one in zip(kinds, found, strict=True)]
    free = cells.counts - normal - wrong
    known, count = int(wrong.sum()), int(cells.counts.sum())
    chosen = np.concatenate(
        [
            part[rng.integers(len(part), size=size)]
            for part, size in zip(r, _sizes(weights), strict=True)
        ]
    )
    drawn = rng.binomial(free, chosen).sum(1) + known
    both = weights[2:] @ np.stack([((part * (1 - part)) @ free).mean() for part in r[2:]])
    all_wrong = weights[2:] @ np.stack([(part @ free).mean() for part in r[2:]])
    return PredictionsPosterior(
        weights=weights,
        shares=np.array([(part.mean(0) @ free + known) / count for part in r]),
        responsibility=sum(weight * part.mean(0) for weight, part in zip(weights, r, strict=True)),
        overlap=float(both / max(all_wrong, _TINY)),
        contamination=drawn,
        population_rate=rng.beta(prior.a + drawn, prior.b + count - drawn),
    )


def shares_before(rows: int, prior: Beta) -> np.ndarray:
    """Draw the contaminated share of some rows before any measurement is seen, (S,).

    Args:
        rows: Number of rows.
        prior: Pseudo-counts of the contamination rate.
    """
    rng = np.random.default_rng(0)
    mixed = np.array([mixed for _, mixed in _KINDS])
    rates = prior_rates(prior, _DRAWS, rng) * np.repeat(mixed, _sizes(np.array(_PRIOR)))
    return np.asarray(rng.binomial(rows, rates) / rows)


def _sizes(weights: np.ndarray) -> np.ndarray:
    """Numbers of draws of each kind, in proportion to the weights, with the sum `_DRAWS`."""
    return np.diff(np.round(np.r_[0, weights.cumsum() / weights.sum()] * _DRAWS).astype(int))
