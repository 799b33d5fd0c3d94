"""Variances of the transition matrix M, from its observed information."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from nbam_pyro.models.priors.pseudo_counts import FlipPrior
from nbam_pyro.outputs.transition import RowsByLabel, Transition

__all__ = ["Variances", "transition_variances"]

# A variance is the difference of two terms. If it is a smaller share of them, it is rounding.
_LOST = 1e-12
# Smallest information of the prior on an entry, in units of its pseudo-counts.
_NEARLY_ZERO = 1e-6


class Variances(NamedTuple):
    """Variances by the observed information of M. A variance is infinite if rounding hides it.

    Attributes:
        matrix: Variance of each entry of M, (K, K).
        contaminated: Variance of the number of contaminated rows, a scalar.
    """

    matrix: Float[Tensor, "k k"]
    contaminated: Float[Tensor, ""]


class _Block(NamedTuple):
    """Block of one observed label y in units of M: C_y = diag(diagonal) - right' left.

    Attributes:
        label: Observed label y.
        rows: Probabilities p(c | x) of its rows, (n, K), and their weights, (n,).
        slopes: Matrix A for which A'A is the information of the rows in relative changes, (m, K).
        prior: Diagonal of the prior's information in relative changes, (K,).
        diagonal: Diagonal of C_y by the prior alone, (K,).
        right: First factor, (m, K).
        left: Second factor, (m, K).
    """

    label: int
    rows: tuple[Float[Tensor, "n k"], Float[Tensor, " n"]]
    slopes: Float[Tensor, "m k"]
    prior: Float[Tensor, " k"]
    diagonal: Float[Tensor, " k"]
    right: Float[Tensor, "m k"]
    left: Float[Tensor, "m k"]


def transition_variances(rows: RowsByLabel, transition: Transition, prior: FlipPrior) -> Variances:
    """Return the variances of the entries of M and of the number of contaminated rows.

    The rate of a class is one minus an entry on the diagonal, and has the same variance.

    Args:
        rows: Rows, grouped by observed label.
        transition: Estimated contamination rates and flips.
        prior: Pseudo-counts of contamination rates and flips.
    """
    matrix = transition.matrix
    total, across = torch.zeros_like(matrix), torch.zeros_like(transition.rate)
    given_matrix, of_matrix = matrix.new_zeros(()), matrix.new_zeros(())
    for one in _blocks(rows, transition, prior):
        column = matrix[:, one.label]
        total.diagonal().add_(one.diagonal)
        total.addmm_(one.right.mT, one.left, alpha=-1)
        # Derivative of the number of contaminated rows by relative changes. The label's own entry
        # is -sum r (1 - r); as a difference of sums, rounding could make it positive.
        doubt = _doubt(*one.rows, column, one.label)
        slope = one.slopes[:, one.label] @ one.slopes
        slope[one.label] = -doubt
        answer = column * slope / one.prior - one.right.mT @ (one.left @ (slope / column))
        across += answer
        of_matrix += (slope / column) @ answer
        given_matrix += doubt
    of_matrix -= across @ torch.linalg.solve(total, across)
    inverse = torch.linalg.inv(total)
    columns = [_entries(one, inverse) for one in _blocks(rows, transition, prior)]
    return Variances(torch.stack(columns, 1), given_matrix + of_matrix.clamp_min(0))


def _blocks(rows: RowsByLabel, transition: Transition, prior: FlipPrior) -> Iterator[_Block]:
    """Yield one block after another, because all of them together need much memory."""
    for y, (f, weights) in enumerate(rows.groups()):
        column = transition.matrix[:, y]
        slopes = _information_factor(f, weights, column)
        information = _prior_information(y, transition.rate, prior)
        # Inverse of a diagonal matrix plus one of low rank (Woodbury): 1 / d - right' left.
        right = slopes / information
        left = torch.linalg.solve(_identity_like(right) + right @ slopes.mT, right)
        yield _Block(
            label=y,
            rows=(f, weights),
            slopes=slopes,
            prior=information,
            diagonal=column.square() / information,
            right=right * column,
            left=left * column,
        )


def _entries(block: _Block, inverse: Float[Tensor, "k k"]) -> Float[Tensor, " k"]:
    """Return the diagonal of C_y - C_y S C_y, where S is the inverse of the sum of all C_z.

    Args:
        block: Block C_y.
        inverse: Matrix S, (K, K).
    """
    own = torch.diag(block.diagonal) - block.right.mT @ block.left
    # S C_y, without a product of two (K, K) matrices.
    other = inverse * block.diagonal - (inverse @ block.right.mT) @ block.left
    free = own.diagonal()
    variance = free - (own * other.mT).sum(1)
    return torch.where(variance > _LOST * free.abs(), variance, torch.inf)


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
