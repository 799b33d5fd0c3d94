"""Anchors, rows with a nearly certain true label, and a first estimate of rates and flips."""

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

# Two class names are exchanged only if more than this number of verified rows support it.
_DOUBT = 4
# Largest share of the rows predicted as a class that are anchors because of `at_least`.
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

    The anchors of class c are rows whose true label is almost certainly c: the most confident share
    `confident` of the rows that are predicted as c. Small classes use more rows than this share.
    Each of the following numbers is a minimum:

    * `at_least` rows, but not more than 70 % of the rows predicted as c. With 70 rows, a rate has a
      standard error of about .06.
    * 1 % of all rows. With more than ten classes, it is a tenth of the average number of rows per
      class.
    * Five rows, or the average number of rows per class if it is smaller.

    Their observed labels are *counted*. The mean of their predicted probabilities, which Patrini et
    al. (2017) and Liu & Tao (2016) take, repeats the labels that a network has memorised and is
    biased towards no contamination. Counts on predictions out of fold (by a model that was not
    trained on the row) do not have this bias.

    A row with a verified true label is an anchor of that class only. A row that is verified as
    contaminated is not an anchor of its observed class.

    In a mutual pair, two classes are often mistaken for each other. If most labels of both are
    wrong, a network exchanges the two names in its predictions. The names are exchanged back if the
    verified rows of both classes clearly show this exchange.

    Args:
        log_probs: Log predicted probabilities, (N, K), preferably out of fold.
        labels: Observed labels, (N,).
        confident: Share of the rows predicted as a class that are its anchors, in (0, 1].
        at_least: Smallest number of anchors of a class, if enough rows are predicted as this class.
        weights: Number of times that each row counts, (N,); None if each counts once.
        verified: What somebody has verified about each of the N rows: its true label, or whether
            its observed label is wrong. `NOTHING` if no row is verified.

    Returns:
        Counts by true (predicted) and observed label, (K, K), in the precision of `log_probs` but
        at least in single precision.

    Raises:
        DataError: A log probability is NaN or above 0, a label is not one of the K classes, or a
            weight is not finite or negative, or all weights are 0.

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
    # Half precision represents integers up to 256 or 2048 only.
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
    """Return the number of anchors of a class.

    Args:
        rows: Number of rows that are predicted as this class.
        confident: Share of these rows that are anchors.
        at_least: Smallest number of anchors, if there are enough rows.

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
    # More anchors than the rows of a class would include rows of other classes.
    least = min(n, max(min(5, math.ceil(n / k)), round(min(0.01, 0.1 / k) * n)))
    rows = []
    for c in range(k):
        count = max(least, how_many(predicted[c], confident, at_least))
        certainty = log_probs[:, c]
        # Rows as certain as the last anchor are anchors, too: the order of rows must not matter.
        anchors = (certainty >= certainty.topk(count).values[-1:]) & (certainty > -torch.inf)
        counted = None if weights is None else weights[anchors]
        rows.append(torch.bincount(labels[anchors], counted, minlength=k))
    return torch.stack(rows).to(log_probs.dtype)


def _renamed(log_probs: Tensor, true: Tensor) -> Tensor:
    """Return a copy of the predictions in which exchanged names of two classes are corrected.

    The names of two classes are exchanged if the verified rows of both classes show this.

    Args:
        log_probs: Log predicted probabilities, (N, K).
        true: Verified true label of each row, -1 if none is verified, (N,).
    """
    k = log_probs.shape[1]
    known = true >= 0
    votes = torch.bincount(true[known] * k + log_probs[known].argmax(-1), minlength=k * k)
    votes = votes.view(k, k)  # By true and by predicted class.
    margin = votes - votes.diagonal()[:, None]
    # If only one of the two classes shows it, it may be a flip in one direction.
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
    """Return posterior means of contamination rates and flips, given the labels of the anchors.

    Args:
        counts: Counts by true and observed label from `anchor_counts`, (K, K).
        prior: Pseudo-counts of contamination rates and flips.

    Returns:
        Contamination rate of each true class, (K,), and the rows of the flip matrix T over the
        other classes, (K, K-1). All lie strictly inside (0, 1).

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
