"""Estimates of the share of anomalies: by the agreement of models, or by likelihood.

The models are the members of a detector, which are trained from different initial weights.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from nbam_pyro import functional as nf
from nbam_pyro.detection.backbones.base import Energies
from nbam_pyro.detection.checks import check_energies_finite
from nbam_pyro.errors import DataError
from nbam_pyro.outputs.switch_codes import UNKNOWN, UNVERIFIED, switch_codes

__all__ = ["RateEstimate", "estimate_rate", "likely_rate", "member_agreement"]

# If the highest agreement is lower than this, no share is estimated.
_AGREED = 0.8
# The rates, up to one half, at which the likelihood is computed.
_GRID = (torch.arange(500) + 0.5) / 1000
_TAILS = (0.05, 0.95)


@dataclass(frozen=True)
class RateEstimate:
    """A share of anomalies with an interval.

    `estimate_rate` compares candidate rates, the rates that models were trained with. Its interval
    contains the best candidate and the candidates next to it with an agreement within two standard
    errors of the best. Each end lies halfway to the next candidate. `likely_rate` returns the
    central 90% interval of a posterior.

    Attributes:
        rate: Estimated share of anomalies. If it cannot be estimated, `rate` is 0 and the interval
            is 0 to 1/2.
        low: Lower end of the interval.
        high: Upper end of the interval.
        agreement: Table with one row per candidate rate. Column "mean" has the mean of kappa, the
            agreement of two models on which rows are anomalies (see `estimate_rate`), over all
            pairs of models with this rate. Column "se" has its standard error. None if the estimate
            is from `likely_rate`.

    Example:
        >>> RateEstimate(0.1, 0.08, 0.13, None).rate
        0.1
    """

    rate: float
    low: float
    high: float
    agreement: pd.DataFrame | None


def estimate_rate(energies: Energies, rates: np.ndarray, verified: Any = None) -> RateEstimate:
    r"""Estimate the share of anomalies as the rate at which independent models agree most.

    The models are the members of a detector. Each is trained from its own initial weights and with
    one of several candidate rates, the share of the rows that it treats as anomalies. Models agree
    if they pick the same rows as anomalies.

    The size of energies that are not log densities does not show how many rows are anomalies.
    However, models with different initial weights that are trained with the true rate pick the same
    rows as anomalies, because these rows have something in common that normal rows do not have.
    With a larger rate each model must also pick some normal rows, and with a smaller rate it picks
    only some of the anomalies. These picks differ from model to model.

    .. math::
        \kappa(\alpha) = \frac{J(\alpha) - \alpha}{1 - \alpha}

    J is the share of the rows picked by one model that another model also picks. For random picks
    it would be alpha. The estimate is the candidate rate of highest kappa. It is 0, which means
    that no share can be estimated, in three cases:

    * The highest kappa is below 0.8.
    * The largest candidate has the highest kappa. Models then agree on what normal rows are like.
    * Kappa is the same at all candidates, up to two standard errors, for example where all rows lie
      on a line.

    Args:
        energies: Clean and anomaly energies of the N training rows by each of the S members
            (models): two arrays of shape (S, N).
        rates: Share of anomalies that each member assumed in training, (S,). There must be two or
            more different rates, and two or more members with each of them.
        verified: Codes of verified rows, (N,): 1 for an anomaly, 0 for a normal row, and -1, NaN or
            None where nothing is verified; or a `nbam_pyro.Verified`. Agreement is measured on the
            rows that are not verified.

    Raises:
        DataError: There are too few members or rates, an energy is not finite, or a code is not 1,
            0 or -1.

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
    codes = switch_codes(verified, energies.clean.shape[1])
    candidates, counts = np.unique(rates, return_counts=True)
    if len(candidates) < 2 or counts.min() < 2:
        raise DataError(
            f"rates are {rates.tolist()}; give two or more different rates, with two or more "
            "members at each of them."
        )
    parts = [
        member_agreement(_of(energies, rates == rate), float(rate), codes) for rate in candidates
    ]
    table = pd.DataFrame(
        {
            "mean": [part.mean() for part in parts],
            # Pairs share models, so about as many pairs are independent as there are models.
            "se": [part.std() / np.sqrt(count) for part, count in zip(parts, counts, strict=True)],
        },
        index=pd.Index(candidates, name="rate"),
    )
    return _decide(table)


@torch.no_grad()
def likely_rate(energies: Energies, verified: Any = None) -> RateEstimate:
    r"""Estimate the share of anomalies by its posterior, from negative log densities of the rows.

    .. math::
        p(\pi | x) \propto \prod_i \big((1 - \pi) e^{-E_n(x_i)} + \pi e^{-E_a(x_i)}\big), \qquad
        \pi \sim U(0, 1/2)

    Here pi is the share of anomalies, and x_i is row i. The clean energy E_n is the negative log
    density of a row under the distribution of normal rows, and the anomaly energy E_a that under
    the one of anomalies.

    A detector has several members, models that are trained from different initial weights. The
    estimate is the mean of the posterior, averaged over members. Members may differ: one may treat
    a cluster of anomalies as normal rows, and another as anomalies. The posterior treats the
    densities as known. Therefore the interval does not include the error of densities that were
    learned from the same rows.

    Args:
        energies: Clean and anomaly energies of the N training rows by each of the S members
            (models): two arrays of shape (S, N). They must be negative log densities, such as those
            of `GaussianMixture`.
        verified: Codes of verified rows, (N,): 1 for an anomaly, 0 for a normal row, and -1, NaN or
            None where nothing is verified; or a `nbam_pyro.Verified`.

    Raises:
        DataError: An energy is not finite, or a code is not 1, 0 or -1.

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
    codes = switch_codes(verified, energies.clean.shape[1]).expand_as(energies.clean)
    joint = (nf.observe_switch(*pair, codes) for pair in pairs)
    marginals = torch.stack([nf.log_marginal(*pair).double().sum(-1) for pair in joint], -1)
    posterior = marginals.softmax(-1).mean(0)
    low, high = (float(_GRID[(posterior.cumsum(0) < tail).sum()]) for tail in _TAILS)
    return RateEstimate(float(posterior @ _GRID.double()), low, high, None)


def member_agreement(energies: Energies, rate: float, verified: Tensor = UNVERIFIED) -> np.ndarray:
    """Return kappa of each pair of models: their agreement on which rows are anomalies.

    Each member (a model of the backbone) picks the rows with the highest difference E_n - E_a of
    clean and anomaly energy. Members pick only among rows that are not verified. The number of
    picks is the rate times the number of all rows, minus the number of verified anomalies. If it is
    0 or less, or not less than the number of rows to pick from, kappa is 0. Rows with equal
    differences share the remaining picks equally.

    Args:
        energies: Clean and anomaly energies of N rows by each of the S members (models): two arrays
            of shape (S, N).
        rate: Share of anomalies among all rows.
        verified: Integer codes of verified rows, broadcast to (N,): 1 for an anomaly, 0 for a
            normal row, -1 where nothing is verified. The default is -1 for all rows.

    Returns:
        Kappa of all S (S - 1) / 2 pairs: 1 if both models pick the same rows, and 0 on average for
        random picks.

    Example:
        >>> same = torch.arange(10.0).expand(2, 10)
        >>> member_agreement(Energies(same, -same), 0.2)
        array([1.])
    """
    score = energies.clean - energies.anomalous
    codes = verified.expand(score.shape[1])
    top = max(1, round(rate * len(codes))) - int((codes == 1).sum())
    score = score[:, codes == UNKNOWN]
    members, count = score.shape
    if not 0 < top < count:
        return np.zeros(math.comb(members, 2))
    chosen = _chosen(score.double(), top)
    shared = (chosen @ chosen.T / top).numpy()[np.triu_indices(members, 1)]
    chance = top / count
    return (shared - chance) / (1 - chance)


def _chosen(score: Tensor, top: int) -> Tensor:
    """Return 1 for the `top` rows with the highest scores by each member, and 0 for others, (S, N).

    Rows that share the lowest picked score have equal weights between 0 and 1, because their order
    has no meaning. The weights of each member sum to `top`.
    """
    lowest = score.topk(top, 1).values[:, -1:]
    above, tied = (score > lowest).double(), (score == lowest).double()
    return above + tied * (top - above.sum(1, keepdim=True)) / tied.sum(1, keepdim=True)


def _of(energies: Energies, chosen: np.ndarray) -> Energies:
    index = torch.as_tensor(np.flatnonzero(chosen))
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
