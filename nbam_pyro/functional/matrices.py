"""Matrices of labels: spread, reduced, combined and applied."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

__all__ = ["observed_log_probs", "off_diagonal", "transition_matrix", "zero_diagonal"]


def zero_diagonal(rows: Float[Tensor, "k k_minus_1"], fill: float = 0.0) -> Float[Tensor, "k k"]:
    """Spread K rows over the K-1 other classes into a (K, K) matrix.

    Args:
        rows: (K, K-1), row c lists the classes 0, ..., K-1 without c.
        fill: what stands on the diagonal, 0 for probabilities, -inf for their logarithms.

    Returns:
        The (K, K) matrix.

    Example:
        >>> zero_diagonal(torch.tensor([[1.0], [2.0]]))
        tensor([[0., 1.],
                [2., 0.]])
    """
    k = rows.shape[0]
    # In row-major order a square matrix is: diagonal, K others, diagonal, K others, ..., diagonal.
    spread = F.pad(rows.reshape(k - 1, k), (1, 0), value=fill)
    return F.pad(spread.flatten(), (0, 1), value=fill).view(k, k)


def off_diagonal(matrix: Float[Tensor, "k k"]) -> Float[Tensor, "k k_minus_1"]:
    """Rows of a (K, K) matrix without their diagonal entry, the inverse of `zero_diagonal`.

    Args:
        matrix: (K, K).

    Returns:
        (K, K-1), row c lists the classes 0, ..., K-1 without c.

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
    """Transition matrix M_c = (1 - rate_c) e_c + rate_c T_c = p(observed | true).

    Args:
        rate: contamination rate of each true class, (K,).
        flip: T, (K, K), zero diagonal.

    Returns:
        M, (K, K), rows sum to one.

    Example:
        >>> transition_matrix(torch.tensor([0.1, 0.4]), torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
        tensor([[0.9000, 0.1000],
                [0.4000, 0.6000]])
    """
    return torch.diag(1 - rate) + rate[:, None] * flip


def observed_log_probs(
    log_f: Float[Tensor, "n k"], transition: Float[Tensor, "k k"]
) -> Float[Tensor, "n k"]:
    """Log probability of every *observed* label, log sum_c f_c M_cy.

    Args:
        log_f: log p(c | x), (N, K), normalised.
        transition: M, (K, K).

    Returns:
        log p(y | x) over all y, (N, K).

    Example:
        >>> m = torch.tensor([[0.9, 0.1], [0.4, 0.6]])
        >>> observed_log_probs(torch.tensor([[1.0, 0.0]]).log(), m).exp()
        tensor([[0.9000, 0.1000]])
    """
    return (log_f.exp() @ transition).log()
