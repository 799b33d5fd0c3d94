r"""Intervals of contamination rates, given predictions of the true label.

They come from the observed information of the transition matrix M.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nbam_pyro.errors import DataError
from nbam_pyro.models.priors.pseudo_counts import FlipPrior
from nbam_pyro.outputs.transition import RowsByLabel, Transition

__all__ = ["TransitionIntervals", "check_probability", "transition_intervals"]

# A variance is the difference of two terms. If it is a smaller share of them, it is rounding.
_LOST = 1e-12
# Smallest information of the prior on an entry, in units of its pseudo-counts.
_NEARLY_ZERO = 1e-6


@dataclass(frozen=True)
class TransitionIntervals:
    """Central intervals of contamination rates. They do not include errors of the predictions.

    The rate of a true class is the share of wrong labels among the rows that belong to it.

    Attributes:
        rate_low: Lower end of the interval of each true class's rate, (K,) float64.
        rate_high: Upper end of the interval of each true class's rate, (K,) float64.
        share_low: Lower end of the interval of the contaminated share of the rows.
        share_high: Upper end of the interval of the contaminated share of the rows.
        probability: Posterior probability that each interval contains, for example 0.9.
    """

    rate_low: Float[Tensor, " k"]
    rate_high: Float[Tensor, " k"]
    share_low: float
    share_high: float
    probability: float


def check_probability(value: float) -> None:
    """Raise an error if a value is not a valid probability that an interval contains.

    Args:
        value: Probability, in (0, 1).

    Raises:
        DataError: The value is outside (0, 1).
    """
    if not 0 < value < 1:
        raise DataError(f"probability is {value}; it must lie in (0, 1).")


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
    r"""Return Laplace intervals of rates and of the contaminated share, on the logit scale.

    The observed information of M is block diagonal by observed label, because each row involves one
    column of M only. In relative changes :math:`u_{cy} = \delta M_{cy} / M_{cy}`, block y is

    .. math:: \sum_{i: y_i = y} w_i\, r_i r_i^\top + \text{prior}, \qquad r_{ic} = p(c | x_i, y_i),

    and the rows of M sum to one, :math:`\sum_y M_{cy} u_{cy} = 0`. If C_y is the inverse of block y
    in units of M, the covariance under these K constraints is

    .. math:: \mathrm{cov}(M_{\cdot y}, M_{\cdot y'}) = \delta_{yy'} C_y
              - C_y \Big(\sum_z C_z\Big)^{-1} C_{y'}.

    The variance of the share also includes that of the switches given M. The ends of its interval
    respect Cantelli's bound: they lie at most k standard deviations from the estimate, where
    :math:`1 / (1 + k^2)` is half of one minus the probability. The bound holds for any
    distribution, and it matters if a share is almost 0 or 1. The intervals do not include errors of
    log_f or of class frequencies. With a prior on class frequencies, the predictions are those at
    the mode of the frequencies.

    If all predictions are certain, such as the 0s and 1s of a decision tree, both ends of the share
    are the share itself. With extreme priors, rounding can hide the variance of a rate; its
    interval is then (0, 1).

    Time is O(N K^2), and at most O(K^4) more if labels have more rows than there are classes;
    memory is O(N K + K^2).

    Args:
        log_f: Log probabilities of the true label, as given to `estimate_transition`.
        labels: Observed labels, as given to `estimate_transition`.
        transition: Result of `estimate_transition`.
        prior: Pseudo-counts of rates and flips, as given to `estimate_transition`.
        weights: Weights of the rows, as given to `estimate_transition`.
        true_labels: Verified true labels of the rows, as given to `estimate_transition`.
        probability: Posterior probability that each interval contains, in (0, 1).

    Raises:
        DataError: The probability is outside (0, 1), or for the same reasons as in
            `estimate_transition`.

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
    # If the variance is large for the share, the ends on the logit scale would be 0 and 1.
    most = math.sqrt((1 + probability) / (1 - probability)) * variance.sqrt()
    low, high = max(ends[0], share - most), min(ends[1], share + most)
    return TransitionIntervals(rate_low, rate_high, float(low), float(high), probability)


def _variances(
    rows: RowsByLabel, transition: Transition, prior: FlipPrior
) -> tuple[Float[Tensor, " k"], Float[Tensor, ""]]:
    """Return the variances of the rates and of the number of contaminated rows.

    Returns:
        Variance of the rate of each class, (K,), which is infinite if rounding hides it, and
        variance of the number of contaminated rows, a scalar.
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
        # Derivative of the number of contaminated rows by u. The label's own entry is
        # -sum r (1 - r); as a difference of sums, rounding could make it positive.
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
    """Return a matrix A for which A'A is the information of the rows, with at most K rows."""
    joint = f * column.to(f)
    joint *= (weights.sqrt() / joint.sum(-1))[:, None]
    if len(joint) <= len(column):
        return joint.double()
    values, vectors = torch.linalg.eigh((joint.mT @ joint).double())
    return values.clamp_min(0).sqrt()[:, None] * vectors.mT


def _doubt(
    f: Float[Tensor, "n k"], weights: Float[Tensor, " n"], column: Float[Tensor, " k"], label: int
) -> Float[Tensor, ""]:
    """Return the sum of r (1 - r) over the rows of one observed label.

    Here r is the probability that the label of a row is right.
    """
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
    """Return the diagonal of the prior's information for one observed label, (K,).

    The rate of a class is one minus the entry of M on the diagonal, because the rows of M sum to
    one.
    """
    a, b = prior.rate
    entries = torch.full_like(rate, prior.flip)
    odds = (1 - rate[label]) / rate[label]
    entries[label] = b + (a - prior.flip * (len(rate) - 1)) * odds**2
    # An entry may be negative, but not 0, because others are divided by it.
    least = torch.full_like(entries, _NEARLY_ZERO * b).copysign(entries)
    return torch.where(entries.abs() < least.abs(), least, entries)


def _logit_interval(value: Tensor, variance: Tensor, probability: float) -> tuple[Tensor, Tensor]:
    # A share of exactly 0 or 1 is certain: every row is verified.
    certain = (variance == 0) | (value == 0) | (value == 1)
    z = float(torch.special.ndtri(value.new_tensor((1 + probability) / 2)))
    spread = z * variance.sqrt() / (value * (1 - value))
    low, high = (value.logit() - spread).sigmoid(), (value.logit() + spread).sigmoid()
    return torch.where(certain, value, low), torch.where(certain, value, high)
