r"""How sure rates are, given predictions of the true label: the observed information of M."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nbam_pyro.errors import DataError
from nbam_pyro.models.priors.pseudo_counts import FlipPrior
from nbam_pyro.outputs.transition import RowsByLabel, Transition

__all__ = ["TransitionIntervals", "check_probability", "transition_intervals"]

# A variance that is a smaller share of the terms that it is the difference of is rounding.
_LOST = 1e-12
# The least information of the prior on an entry, in units of its pseudo-counts.
_NEARLY_ZERO = 1e-6


@dataclass(frozen=True)
class TransitionIntervals:
    """Central intervals, conditional on the predictions.

    Attributes:
        rate_low: lower end of the rate of each true class, (K,) float64.
        rate_high: upper end, (K,).
        share_low: lower end of the share of these rows that is contaminated.
        share_high: upper end.
        probability: of each interval.
    """

    rate_low: Float[Tensor, " k"]
    rate_high: Float[Tensor, " k"]
    share_low: float
    share_high: float
    probability: float


def check_probability(value: float) -> None:
    """Refuse what is no probability of an interval.

    Args:
        value: The probability, in (0, 1).

    Raises:
        DataError: It is outside.
    """
    if not 0 < value < 1:
        raise DataError(f"probability is {value}; it lies in (0, 1).")


def transition_intervals(
    log_f: Float[Tensor, "n k"],
    labels: Int[Tensor, " n"],
    transition: Transition,
    *,
    prior: FlipPrior,
    weights: Float[Tensor, " n"] | None = None,
    true_labels: Int[Tensor, " n"] | None = None,
    probability: float = 0.9,
) -> TransitionIntervals:
    r"""Laplace intervals of rates and of the contaminated share, on the logit scale.

    The observed information of M is block diagonal by observed label, because a row meets one
    column of M. In relative changes :math:`u_{cy} = \delta M_{cy} / M_{cy}` block y is

    .. math:: \sum_{i: y_i = y} w_i\, r_i r_i^\top + \text{prior}, \qquad r_{ic} = p(c | x_i, y_i),

    and the rows of M sum to one, :math:`\sum_y M_{cy} u_{cy} = 0`. With C_y the inverse of block
    y in units of M, the covariance under these K constraints is

    .. math:: \mathrm{cov}(M_{\cdot y}, M_{\cdot y'}) = \delta_{yy'} C_y
              - C_y \Big(\sum_z C_z\Big)^{-1} C_{y'}.

    The share's spread adds that of the switches given M. Its ends are within Cantelli's bound, k
    standard deviations from the estimate with :math:`1 / (1 + k^2)` half of what the interval
    leaves out: that holds for any distribution, and counts where a share is almost 0 or 1. Nothing
    is added for errors of log_f, nor for those of class frequencies: where they had a prior, the
    predictions are those at its mode.

    Where predictions leave no doubt, such as the 0s and 1s of a decision tree, the share is certain
    given them: both ends are the share itself. A rate whose spread is lost in rounding, which only
    extreme priors bring about, has the interval (0, 1): nothing is known of it.

    Takes O(N K^2) time, at most O(K^4) more where labels have more rows than there are classes, and
    O(N K + K^2) memory.

    Args:
        log_f: as it was given to `estimate_transition`.
        labels: as there.
        transition: what came of it.
        prior: as there.
        weights: as there.
        true_labels: as there.
        probability: of each interval, in (0, 1).

    Raises:
        DataError: as `estimate_transition`, or the probability is outside (0, 1).

    Source: Louis (1982), "Finding the observed information matrix when using the EM algorithm".

    Example:
        >>> from nbam_pyro.outputs.transition import estimate_transition
        >>> f = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).repeat_interleave(500, 0)
        >>> y = torch.tensor([0] * 400 + [1] * 600)
        >>> prior = FlipPrior()
        >>> fitted = estimate_transition(f.log(), y, prior=prior)
        >>> transition_intervals(f.log(), y, fitted, prior=prior).rate_low
        tensor([0.1734, 0.0004], dtype=torch.float64)
    """
    check_probability(probability)
    shifted = transition.shifted(log_f)
    rows = RowsByLabel.of(shifted, labels, weights=weights, true_labels=true_labels)
    rates, contaminated = _variances(rows, transition, prior)
    rate_low, rate_high = _logit_interval(transition.rate, rates, probability)
    share = rates.new_tensor(transition.share)
    variance = contaminated / transition.counts.sum() ** 2
    ends = _logit_interval(share, variance, probability)
    # Where the spread is many times the share, the logit scale alone would end at 0 and 1.
    most = math.sqrt((1 + probability) / (1 - probability)) * variance.sqrt()
    low, high = max(ends[0], share - most), min(ends[1], share + most)
    return TransitionIntervals(rate_low, rate_high, float(low), float(high), probability)


def _variances(
    rows: RowsByLabel, transition: Transition, prior: FlipPrior
) -> tuple[Float[Tensor, " k"], Float[Tensor, ""]]:
    """Of the rate of each class, (K,), infinite where lost in rounding, and of the number of
    contaminated rows.
    """
    matrix = transition.matrix
    total, own = torch.zeros_like(matrix), torch.zeros_like(matrix)
    across = torch.zeros_like(transition.rate)
    given_matrix, of_matrix = matrix.new_zeros(()), matrix.new_zeros(())
    for y, (f, weights) in enumerate(rows.groups()):
        column = matrix[:, y]
        factor = _information_factor(f, weights, column)
        prior_information = _prior_information(y, transition.rate, prior)
        # Inverse of a diagonal matrix plus one of low rank (Woodbury): 1 / d - right' left.
        right = factor / prior_information
        left = torch.linalg.solve(_identity_like(right) + right @ factor.mT, right)
        diagonal = column.square() / prior_information
        total.diagonal().add_(diagonal)
        total.addmm_((right * column).mT, left * column, alpha=-1)
        own[y] = -(right[:, y] * column[y]) @ left * column
        own[y, y] += diagonal[y]
        # How the number of contaminated rows answers to u; its own entry is -sum r (1 - r), summed
        # as such, because a difference of sums would round to less than nothing.
        doubt = _doubt(f, weights, column, y)
        slope = factor[:, y] @ factor
        slope[y] = -doubt
        answer = slope / prior_information - right.mT @ (left @ slope)
        across += column * answer
        of_matrix += slope @ answer
        given_matrix += doubt
    free = own.diagonal()
    rates = free - (own * torch.linalg.solve(total, own.mT).mT).sum(-1)
    rates = torch.where(rates > _LOST * free.abs(), rates, torch.inf)
    of_matrix -= across @ torch.linalg.solve(total, across)
    return rates, given_matrix + of_matrix.clamp_min(0)


def _information_factor(
    f: Float[Tensor, "n k"], weights: Float[Tensor, " n"], column: Float[Tensor, " k"]
) -> Float[Tensor, "m k"]:
    """A matrix whose square is the information of the rows, with as few rows as it takes."""
    joint = f * column.to(f)
    joint *= (weights.sqrt() / joint.sum(-1))[:, None]
    if len(joint) <= len(column):
        return joint.double()
    values, vectors = torch.linalg.eigh((joint.mT @ joint).double())
    return values.clamp_min(0).sqrt()[:, None] * vectors.mT


def _doubt(
    f: Float[Tensor, "n k"], weights: Float[Tensor, " n"], column: Float[Tensor, " k"], label: int
) -> Float[Tensor, ""]:
    """Sum of r (1 - r) over the rows of one observed label, r the probability that it is right."""
    joint = f * column.to(f)
    own = joint[:, label].clone()
    joint[:, label] = 0
    others = joint.sum(-1)
    share = own / (own + others)
    return (weights * share * (others / (own + others))).sum(dtype=torch.float64)


def _identity_like(factor: Float[Tensor, "m k"]) -> Float[Tensor, "m m"]:
    return torch.eye(len(factor), dtype=factor.dtype, device=factor.device)


def _prior_information(
    label: int, rate: Float[Tensor, " k"], prior: FlipPrior
) -> Float[Tensor, " k"]:
    """Diagonal of the block of one observed label; where rows sum to one, a rate is one minus its
    entry.
    """
    a, b = prior.rate
    entries = torch.full_like(rate, prior.flip)
    odds = (1 - rate[label]) / rate[label]
    entries[label] = b + (a - prior.flip * (len(rate) - 1)) * odds**2
    # Alone an entry may be negative, but nothing can be divided by 0.
    least = torch.full_like(entries, _NEARLY_ZERO * b).copysign(entries)
    return torch.where(entries.abs() < least.abs(), least, entries)


def _logit_interval(value: Tensor, variance: Tensor, probability: float) -> tuple[Tensor, Tensor]:
    # A share of exactly 0 or 1, where every row is verified, is certain.
    certain = (variance == 0) | (value == 0) | (value == 1)
    z = float(torch.special.ndtri(value.new_tensor((1 + probability) / 2)))
    spread = z * variance.sqrt() / (value * (1 - value))
    low, high = (value.logit() - spread).sigmoid(), (value.logit() + spread).sigmoid()
    return torch.where(certain, value, low), torch.where(certain, value, high)
