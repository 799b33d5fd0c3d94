"""How many of the training rows are anomalies, by where independent models agree on which."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from nbam_pyro import functional as nf
from nbam_pyro.detection.assignments import UNKNOWN
from nbam_pyro.detection.checks import check_energies_finite
from nbam_pyro.detection.backbones.base import Energies
from nbam_pyro.errors import DataError

__all__ = ["CANDIDATES", "RateEstimate", "agreement", "estimate_rate", "likely_rate"]

# What members are told where the rate is not known.
CANDIDATES = (0.05, 0.1, 0.15, 0.2, 0.3)
# Models that agree no better than this have found nothing in common.
_AGREED = 0.8
# Rates up to one half at which a likelihood is computed.
_GRID = (torch.arange(500) + 0.5) / 1000
_TAILS = (0.05, 0.95)


@dataclass(frozen=True)
class RateEstimate:
    """A rate of anomalies with its evidence.

    Attributes:
        rate: the estimate; 0 where none can be told, and then the interval is 0 to 1/2.
        low: lower end of the interval.
        high: upper end. By agreement: between them lie the candidates that the agreement of the
            pairs of models does not tell from the estimate, by two standard errors, and half a step
            to either side. By likelihood: 90% of the posterior is between them.
        agreement: by candidate, "mean" over pairs of models and its "se"; None where the rate is
            that of a likelihood.

    Example:
        >>> RateEstimate(0.1, 0.08, 0.13, None).rate
        0.1
    """

    rate: float
    low: float
    high: float
    agreement: pd.DataFrame | None


def estimate_rate(
    energies: Energies, rates: np.ndarray, observed: Tensor | None = None
) -> RateEstimate:
    r"""The rate under which models from different initial weights assign the same rows.

    Energies that are no densities cannot tell how many rows are anomalies by their size. But told
    the true number, models from different initial weights push the same rows away, because those
    rows have something in common that the others have not. Told a larger one, each has to pick
    some normal rows, told a smaller one, some of the anomalies, and their picks differ.

    .. math::
        \kappa(\alpha) = \frac{J(\alpha) - \alpha}{1 - \alpha}

    where J is the share of the rows assigned by one model that another assigns, too, and alpha what
    it would be by chance. The candidate of highest kappa is the estimate if that is above 0.8, and
    if larger candidates are lower: agreement that only grows with alpha is that on what normal rows
    are like. Agreement that is the same at every candidate, up to two standard errors, tells none
    from the others, as where all rows lie on a line. Then nothing can be told, and the estimate is
    0.

    Args:
        energies: of the training rows by member, (S, N) each.
        rates: what every member was told, (S,); two or more candidates of two or more members.
        observed: switches that are known, (N,): 0, 1, or -1 where not. Models must agree on the
            others.

    Raises:
        DataError: there are fewer, or an energy is not finite.

    Example:
        >>> torch.manual_seed(0)
        <torch._C.Generator object at ...>
        >>> odd = torch.arange(100) < 10
        >>> score = torch.where(odd, 5.0, 0.0) + torch.rand(6, 100)  # members agree on ten rows
        >>> found = estimate_rate(Energies(score, -score), np.repeat([0.05, 0.1, 0.2], 2))
        >>> found.rate, round(found.low, 3), round(found.high, 3)
        (0.1, 0.075, 0.15)
    """
    check_energies_finite(energies)
    candidates, counts = np.unique(rates, return_counts=True)
    if len(candidates) < 2 or counts.min() < 2:
        raise DataError(
            f"rates are {rates.tolist()}: agreement takes two or more members at two or more rates."
        )
    parts = [agreement(_of(energies, rates == rate), float(rate), observed) for rate in candidates]
    table = pd.DataFrame(
        {
            "mean": [part.mean() for part in parts],
            # Pairs share models: as many are independent as there are models, about.
            "se": [part.std() / np.sqrt(count) for part, count in zip(parts, counts, strict=True)],
        },
        index=pd.Index(candidates, name="rate"),
    )
    return _decide(table)


@torch.no_grad()
def likely_rate(energies: Energies, observed: Tensor | None = None) -> RateEstimate:
    r"""The posterior of the rate where energies are negative log densities.

    .. math::
        p(\pi | x) \propto \prod_i \big((1 - \pi) e^{-E_n(x_i)} + \pi e^{-E_a(x_i)}\big), \qquad
        \pi \sim U(0, 1/2)

    averaged over members, which may differ: a cluster of anomalies is a component of one, and
    anomalies of another. The estimate is its mean. It is given the densities: that they were
    learned from the same rows is not in the interval.

    Args:
        energies: of the training rows by member, (S, N) each.
        observed: switches that are known, (N,): 0, 1, or -1 where not.

    Raises:
        DataError: an energy is not finite.

    Example:
        >>> far = torch.arange(200) < 20
        >>> pair = Energies(torch.where(far, 30.0, 1.0)[None], torch.full((1, 200), 10.0))
        >>> found = likely_rate(pair)
        >>> round(found.rate, 2), round(found.low, 2), round(found.high, 2)
        (0.1, 0.07, 0.14)
    """
    check_energies_finite(energies)
    pairs = (
        nf.switch_log_joint(rate.logit(), -energies.clean, -energies.anomalous) for rate in _GRID
    )
    if observed is not None:
        known = observed.expand_as(energies.clean)
        pairs = (nf.observe_switch(*pair, known) for pair in pairs)
    marginals = torch.stack([nf.log_marginal(*pair).double().sum(-1) for pair in pairs], -1)
    posterior = marginals.softmax(-1).mean(0)
    low, high = (float(_GRID[(posterior.cumsum(0) < tail).sum()]) for tail in _TAILS)
    return RateEstimate(float(posterior @ _GRID.double()), low, high, None)


def agreement(energies: Energies, rate: float, observed: Tensor | None = None) -> np.ndarray:
    """Kappa of every pair of members, as to which rows are the anomalies at a rate.

    Args:
        energies: (S, N) each.
        rate: of anomalies.
        observed: switches that are known, (N,): 0, 1, or -1 where not; those that are known leave
            the fewer anomalies to be agreed on. Where they leave none, kappa is 0. Rows of equal
            scores share the places that are left for them.

    Example:
        >>> same = torch.arange(10.0).expand(2, 10)
        >>> agreement(Energies(same, -same), 0.2)
        array([1.])
    """
    score = energies.clean - energies.anomalous
    top = max(1, round(rate * score.shape[1]))
    if observed is not None:
        top -= int((observed == 1).sum())
        score = score[:, observed == UNKNOWN]
    members, count = score.shape
    if not 0 < top < count:
        return np.zeros(math.comb(members, 2))
    chosen = _chosen(score.double(), top)
    shared = (chosen @ chosen.T / top).numpy()[np.triu_indices(members, 1)]
    chance = top / count
    return (shared - chance) / (1 - chance)


def _chosen(score: Tensor, top: int) -> Tensor:
    """How much of each row is among the highest of each member, (S, N), summing to `top`.

    Rows of equal scores share the places that are left for them: their order says nothing.
    """
    lowest = score.topk(top, 1).values[:, -1:]
    above, tied = (score > lowest).double(), (score == lowest).double()
    return above + tied * (top - above.sum(1, keepdim=True)) / tied.sum(1, keepdim=True)


def _of(energies: Energies, told: np.ndarray) -> Energies:
    index = torch.as_tensor(np.flatnonzero(told))
    return Energies(energies.clean[index], energies.anomalous[index])


def _decide(table: pd.DataFrame) -> RateEstimate:
    mean, se, rates = table["mean"].to_numpy(), table["se"].to_numpy(), table.index.to_numpy()
    best, last = int(mean.argmax()), len(rates) - 1
    near = mean + 2 * np.hypot(se, se[best]) >= mean[best]
    if mean[best] < _AGREED or best == last or near.all():
        return RateEstimate(0.0, 0.0, 0.5, table)
    low = high = best
    while low > 0 and near[low - 1]:
        low -= 1
    while high < last and near[high + 1]:
        high += 1
    below, above = rates[low - 1] if low else 0.0, rates[min(high + 1, last)]
    return RateEstimate(
        float(rates[best]),
        float((rates[low] + below) / 2),
        float((rates[high] + above) / 2),
        table,
    )


def shares_below(train: Tensor, scores: Tensor) -> np.ndarray:
    """The share of training scores that are below, by member.

    Args:
        train: (S, N), rising along N.
        scores: (S, M).

    Example:
        >>> shares_below(torch.tensor([[1.0, 2.0, 3.0, 4.0]]), torch.tensor([[0.0, 2.5, 9.0]]))
        array([[0. , 0.5, 1. ]])
    """
    below = torch.searchsorted(train.contiguous(), scores.contiguous())
    return below.double().numpy() / train.shape[1]
