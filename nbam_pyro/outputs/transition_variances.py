"""Variances of contamination rates, from the observed information of the transition matrix M."""

import torch
from jaxtyping import Float
from torch import Tensor

from nbam_pyro.models.priors.pseudo_counts import FlipPrior
from nbam_pyro.outputs.transition import RowsByLabel, Transition

__all__ = ["transition_variances"]

# A variance is the difference of two terms. If it is a smaller share of them, it is rounding.
_LOST = 1e-12
# Smallest information of the prior on an entry, in units of its pseudo-counts.
_NEARLY_ZERO = 1e-6


def transition_variances(
    rows: RowsByLabel, transition: Transition, prior: FlipPrior
) -> tuple[Float[Tensor, " k"], Float[Tensor, ""]]:
    """Return the variances of the rates and of the number of contaminated rows.

    Args:
        rows: Rows, grouped by observed label.
        transition: Estimated contamination rates and flips.
        prior: Pseudo-counts of contamination rates and flips.

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
