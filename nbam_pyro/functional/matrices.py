"""Matrices of true and observed labels: the flip matrix T and the transition matrix M."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

__all__ = ["observed_log_probs", "off_diagonal", "transition_matrix", "zero_diagonal"]


def zero_diagonal(rows: Float[Tensor, "k k_minus_1"], fill: float = 0.0) -> Float[Tensor, "k k"]:
    """Return a (K, K) matrix with a constant diagonal, given rows without the diagonal entry.

    Args:
        rows: Rows without the diagonal entry, (K, K-1). Row c has the classes 0, ..., K-1 except c.
        fill: Value of the diagonal: 0 for probabilities, -inf for their logarithms.

    Returns:
        The matrix, (K, K).

    Example:
        >>> zero_diagonal(torch.tensor([[1.0], [2.0]]))
        tensor([[0., 1.],
                [2., 0.]])
    """
    k = rows.shape[0]
    # In row-major order, K other entries follow each entry of the diagonal but the last.
    spread = F.pad(rows.reshape(k - 1, k), (1, 0), value=fill)
    return F.pad(spread.flatten(), (0, 1), value=fill).view(k, k)


def off_diagonal(matrix: Float[Tensor, "k k"]) -> Float[Tensor, "k k_minus_1"]:
    """Return the rows of a matrix without their diagonal entry, the inverse of `zero_diagonal`.

    Args:
        matrix: Square matrix, (K, K).

    Returns:
        Rows, (K, K-1). Row c has the classes 0, ..., K-1 except c.

    Example:
        >>> off_diagonal(torch.tensor([[0.0, 1.0], [2.0, 0.0]]))
        tensor([[1.],
                [2.]])
    """
    k = matrix.shape[0]
    return matrix.flatten()[1:].view(k - 1, k + 1)[:, :-1].reshape(k, k - 1)


def transition_matrix(
    rate: Float[Tensor, " k"], flip: Float[Tensor, "k k"]
) -> Float[Tensor, "k k"]:
    """Return the transition matrix M = p(observed | true) of contamination rates and a flip matrix.

    Args:
        rate: Contamination rate of each true class, (K,): the probability that a label is flipped.
        flip: Flip matrix T = p(observed | true, z=1), (K, K), with a zero diagonal.

    Returns:
        The transition matrix M, (K, K). Its row c is (1 - rate_c) e_c + rate_c T_c, where e_c has a
        1 for class c and 0 elsewhere. The rows sum to one.

    Example:
        >>> transition_matrix(torch.tensor([0.1, 0.4]), torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
        tensor([[0.9000, 0.1000],
                [0.4000, 0.6000]])
    """
    return torch.diag(1 - rate) + rate[:, None] * flip


def observed_log_probs(
    log_f: Float[Tensor, "n k"], transition: Float[Tensor, "k k"]
) -> Float[Tensor, "n k"]:
    """Return the log probability of every *observed* label, log sum_c f_c M_cy.

    Args:
        log_f: Logarithm of the predictor of true labels, log p(c | x), (N, K), normalised.
        transition: Transition matrix M, (K, K).

    Returns:
        log p(y | x) of every class y, (N, K).

    Example:
        >>> m = torch.tensor([[0.9, 0.1], [0.4, 0.6]])
        >>> observed_log_probs(torch.tensor([[1.0, 0.0]]).log(), m).exp()
        tensor([[0.9000, 0.1000]])
    """
    return (log_f.exp() @ transition).log()
