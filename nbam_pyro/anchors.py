"""Anchors: a start for rates and flips from rows whose true label is nearly certain."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nbam_pyro.functional import off_diagonal

__all__ = ["anchor_matrix", "anchor_rates_and_flips"]


def anchor_matrix(
    log_probs: Float[Tensor, "n k"], labels: Int[Tensor, " n"], *, confident: float = 0.7
) -> Float[Tensor, "k k"]:
    r"""Estimate M = p(observed | true) by counting labels on anchors.

    The anchors of class c are the rows whose true label is nearly certain: the most confident
    `confident` share of the rows that are predicted to be c (at least 1 % of all rows and at
    least five). Their observed labels are *counted*. Averaging predicted probabilities instead
    (Patrini et al. 2017; Liu & Tao 2016) repeats what the network has memorised and is biased
    towards no contamination; counts on predictions out of fold are not.

    Args:
        log_probs: log predicted probabilities, (N, K), best from folds that did not see the row.
        labels: observed labels, (N,).
        confident: share in (0, 1].

    Returns:
        M, (K, K), rows sum to one.

    Example:
        >>> p = torch.tensor([[0.9, 0.1]] * 10 + [[0.2, 0.8]] * 10)
        >>> y = torch.tensor([0] * 8 + [1] * 2 + [1] * 10)
        >>> anchor_matrix(p.log(), y, confident=1.0)
        tensor([[0.8000, 0.2000],
                [0.0000, 1.0000]])
    """
    n, k = log_probs.shape
    predicted = torch.bincount(log_probs.argmax(-1), minlength=k)
    least = min(n, max(5, round(0.01 * n)))
    rows = []
    for c in range(k):
        count = max(least, -int(-confident * int(predicted[c]) // 1))
        anchors = log_probs[:, c].topk(count).indices
        rows.append(torch.bincount(labels[anchors], minlength=k) / count)
    return torch.stack(rows).to(log_probs.dtype)


def anchor_rates_and_flips(
    transition: Float[Tensor, "k k"], *, least: float = 0.01
) -> tuple[Float[Tensor, " k"], Float[Tensor, "k k_minus_1"]]:
    """Split M into rates and the rows of T, kept off the borders so that both can still move.

    Args:
        transition: M, (K, K), rows sum to one.
        least: rates stay in [least, 1 - least], flip probabilities above least / 10.

    Returns:
        rates (K,) and the rows of T over the other classes (K, K-1).

    Example:
        >>> rate, rows = anchor_rates_and_flips(torch.tensor([[0.8, 0.2], [0.0, 1.0]]))
        >>> rate, rows
        (tensor([0.2000, 0.0100]), tensor([[1.],
                [1.]]))
    """
    rate = (1 - transition.diagonal()).clamp(least, 1 - least)
    rows = off_diagonal(transition) + least / 10
    return rate, rows / rows.sum(-1, keepdim=True)
