"""Anchors: a start for rates and flips from rows whose true label is nearly certain."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nbam_pyro.checks.numbers import (
    as_class_codes,
    check_log_probs,
    check_predictions,
    check_weights,
)
from nbam_pyro.functional import off_diagonal
from nbam_pyro.models.priors.pseudo_counts import FlipPrior
from nbam_pyro.verified import NOTHING, Verified

__all__ = ["anchor_counts", "anchor_start"]

# Two classes exchange their names where their verified rows ask for it by more than so many.
_DOUBT = 4
# The less certain of the rows predicted to be of a class are no anchors, however few there are.
_MOST = 0.7


def anchor_counts(
    log_probs: Float[Tensor, "n k"],
    labels: Int[Tensor, " n"],
    *,
    confident: float = 0.2,
    at_least: int = 70,
    weights: Float[Tensor, " n"] | None = None,
    verified: Verified = NOTHING,
) -> Float[Tensor, "k k"]:
    r"""Count the observed labels of each class's anchors.

    The anchors of class c are the rows whose true label is nearly certain: the most confident
    `confident` share of the rows that are predicted to be c, but `at_least` so many, which give a
    rate to within .06, unless they are more than 70 % of them. In any case they are 1 % of all
    rows, of more than ten classes a tenth of the rows that a class has on average, and five, of
    smaller classes as many as a class has on average. Their observed labels are *counted*.
    Averaging predicted probabilities instead (Patrini et al. 2017; Liu & Tao 2016) repeats what the
    network has memorised and is biased towards no contamination; counts on predictions out of fold
    are not.

    A row whose true label is verified is an anchor of that class and of no other; one that is
    verified as contaminated is none of its observed class. Of a mutual pair of which most labels
    are wrong the network predicts each class by the other's name: two classes exchange their names
    where the verified rows of both are predicted so.

    Args:
        log_probs: log predicted probabilities, (N, K), best from folds that did not see the row.
        labels: observed labels, (N,).
        confident: share in (0, 1].
        at_least: so many rows of each class.
        weights: how many times each row counts, (N,); None for once.
        verified: what is verified of the rows, (N,); None for nothing.

    Returns:
        counts by true (predicted) and observed label, (K, K), in the precision of `log_probs` but
        at least in single precision.

    Raises:
        DataError: a log probability is NaN or above 0, a label is no class, or weights are not
            finite, negative or all 0.

    Example:
        >>> p = torch.tensor([[0.9, 0.1]] * 10 + [[0.2, 0.8]] * 10)
        >>> y = torch.tensor([0] * 8 + [1] * 2 + [1] * 10)
        >>> anchor_counts(p.log(), y, confident=1.0)
        tensor([[ 8.,  2.],
                [ 0., 10.]])
        >>> verified = Verified.of(y, true_label=torch.tensor([-1] * 19 + [0]))
        >>> anchor_counts(p.log(), y, confident=1.0, verified=verified)
        tensor([[8., 3.],
                [0., 9.]])
    """
    check_predictions(log_probs, "log_probs")
    check_log_probs(log_probs, "log_probs")
    labels = as_class_codes(labels, "labels", log_probs.shape[1], unlabelled=None)
    if weights is not None:
        check_weights(weights, len(labels))
    # Half precision counts no further than 256 or 2048.
    log_probs = log_probs.to(torch.promote_types(log_probs.dtype, torch.float32))
    if not len(verified):
        return _of_most_certain(log_probs, labels, confident, at_least, weights)
    k = log_probs.shape[1]
    true = verified.label(labels)
    known = true >= 0
    log_probs = _renamed(log_probs, true)
    flipped = (verified.contaminated == 1) & ~known
    log_probs[flipped, labels[flipped]] = -torch.inf
    of = [None, None] if weights is None else [weights[known], weights[~known]]
    exact = torch.bincount(true[known] * k + labels[known], of[0], minlength=k * k).view(k, k)
    return exact + _of_most_certain(log_probs[~known], labels[~known], confident, at_least, of[1])


def how_many(rows: int, confident: float, at_least: int) -> int:
    """How many rows of a class are its anchors, of those predicted to be of it.

    Example:
        >>> [how_many(rows, 0.2, 70) for rows in (10, 200, 1000)]
        [7, 70, 200]
    """
    return max(min(at_least, round(_MOST * rows)), round(confident * rows))


def _of_most_certain(
    log_probs: Tensor, labels: Tensor, confident: float, at_least: int, weights: Tensor | None
) -> Tensor:
    n, k = log_probs.shape
    predicted = torch.bincount(log_probs.argmax(-1), minlength=k).tolist()
    # More than a class has would be rows of other classes.
    least = min(n, max(min(5, math.ceil(n / k)), round(min(0.01, 0.1 / k) * n)))
    rows = []
    for c in range(k):
        count = max(least, how_many(predicted[c], confident, at_least))
        certainty = log_probs[:, c]
        # All rows as certain as the last: among equals the order of the data must not decide.
        anchors = (certainty >= certainty.topk(count).values[-1:]) & (certainty > -torch.inf)
        counted = None if weights is None else weights[anchors]
        rows.append(torch.bincount(labels[anchors], counted, minlength=k))
    return torch.stack(rows).to(log_probs.dtype)


def _renamed(log_probs: Tensor, true: Tensor) -> Tensor:
    """A copy in which two classes exchange their names where verified rows of both ask for it."""
    k = log_probs.shape[1]
    known = true >= 0
    votes = torch.bincount(true[known] * k + log_probs[known].argmax(-1), minlength=k * k)
    votes = votes.view(k, k)  # by true and by predicted class
    margin = votes - votes.diagonal()[:, None]
    # Of one class alone it may be a flip in one direction, which needs no other names.
    both = (margin + margin.mT).where((margin > 0) & (margin.mT > 0), 0).triu(1)
    names = torch.arange(k, device=log_probs.device)
    while both.max() > _DOUBT:
        c, d = divmod(int(both.argmax()), k)
        names[[c, d]] = names[[d, c]]
        both[[c, d]] = both[:, [c, d]] = 0
    return log_probs[:, names]


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
