"""Anchors: a start for rates and flips from rows whose true label is nearly certain."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nbam_pyro.functional import off_diagonal
from nbam_pyro.priors import FlipPrior

__all__ = ["anchor_counts", "anchor_start"]


def anchor_counts(
    log_probs: Float[Tensor, "n k"],
    labels: Int[Tensor, " n"],
    *,
    confident: float = 0.7,
    weights: Float[Tensor, " n"] | None = None,
) -> Float[Tensor, "k k"]:
    r"""Count the observed labels of each class's anchors.

    The anchors of class c are the rows whose true label is nearly certain: the most confident
    `confident` share of the rows that are predicted to be c (at least 1 % of all rows and at
    least five). Their observed labels are *counted*. Averaging predicted probabilities instead
    (Patrini et al. 2017; Liu & Tao 2016) repeats what the network has memorised and is biased
    towards no contamination; counts on predictions out of fold are not.

    Args:
        log_probs: log predicted probabilities, (N, K), best from folds that did not see the row.
        labels: observed labels, (N,).
        confident: share in (0, 1].
        weights: how many times each row counts, (N,); None for once.

    Returns:
        counts by true (predicted) and observed label, (K, K).

    Example:
        >>> p = torch.tensor([[0.9, 0.1]] * 10 + [[0.2, 0.8]] * 10)
        >>> y = torch.tensor([0] * 8 + [1] * 2 + [1] * 10)
        >>> anchor_counts(p.log(), y, confident=1.0)
        tensor([[ 8.,  2.],
                [ 0., 10.]])
    """
    n, k = log_probs.shape
    predicted = torch.bincount(log_probs.argmax(-1), minlength=k).tolist()
    least = min(n, max(5, round(0.01 * n)))
    rows = []
    for c in range(k):
        anchors = log_probs[:, c].topk(max(least, round(confident * predicted[c]))).indices
        counted = None if weights is None else weights[anchors]
        rows.append(torch.bincount(labels[anchors], counted, minlength=k))
    return torch.stack(rows).to(log_probs.dtype)


def anchor_start(
    counts: Float[Tensor, "k k"], prior: FlipPrior
) -> tuple[Float[Tensor, " k"], Float[Tensor, "k k_minus_1"]]:
    """Posterior means of rates and rows of T, given the anchors' labels.

    Args:
        counts: from `anchor_counts`, (K, K).
        prior: of rates and flips.

    Returns:
        rates (K,) and the rows of T over the other classes (K, K-1), all strictly inside (0, 1).

    Example:
        >>> counts = torch.tensor([[8.0, 2.0], [0.0, 10.0]])
        >>> anchor_start(counts, FlipPrior(rate=(1.0, 9.0)))
        (tensor([0.1500, 0.0500]), tensor([[1.],
                [1.]]))
    """
    a, b = prior.rate
    flips = off_diagonal(counts)
    rate = (flips.sum(-1) + a) / (counts.sum(-1) + a + b)
    rows = flips + prior.flip
    return rate, rows / rows.sum(-1, keepdim=True)
