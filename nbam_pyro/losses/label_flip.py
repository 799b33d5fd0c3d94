"""The negative log marginal of labels of which some are wrong, in plain torch."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from nbam_pyro import functional as nf
from nbam_pyro.checks.numbers import LARGEST, check_all_finite
from nbam_pyro.losses.criterion import Reduction, rate_penalty
from nbam_pyro.losses.elements import Elements, checked_labels, elements_of, verified_of
from nbam_pyro.models.priors.pseudo_counts import FlipPrior
from nbam_pyro.verified import Verified

__all__ = ["checked_pair", "cross_entropy", "nbam_loss", "prior_penalty"]


def nbam_loss(
    logits: Tensor,
    target: Tensor,
    rate_logits: Tensor,
    flip_logits: Tensor,
    *,
    switch_logits: Tensor | None = None,
    contaminated: Tensor | None = None,
    true_label: Tensor | None = None,
    reduction: Reduction = "mean",
    ignore_index: int = -100,
) -> Tensor:
    r"""Return the negative log marginal of labels of which some are wrong.

    Label y is observed in place of the latent true label c. The true label has the predicted
    probability :math:`f_c = p(c | x)`; with probability :math:`\pi_c`, the contamination rate of
    class c, it is replaced by another class, which is y with probability :math:`T_{cy}`:

    .. math:: -\log\Big( f_y (1 - \pi_y) + \sum_c f_c\, \pi_c\, T_{cy} \Big),
              \qquad \pi_c = \sigma(\alpha_c + g(x))

    The rate logit :math:`\alpha_c` belongs to class c, and g(x) is an optional deviation of the
    row. If a label is verified, the sum keeps only the terms that agree with the verified value.

    `torch.compile(nbam_loss, fullgraph=True)` makes one graph of it. A compiled graph checks shapes
    and types, but not values: NaN in the arguments gives NaN in the loss. Check the labels and the
    first batch with the loss itself.

    Shape:
        - logits: (N, K) or (N, K, d1, ...), the network's prediction of the true label before the
          softmax
        - target: (N) or (N, d1, ...), observed labels 0, ..., K-1 of any integer type
        - rate_logits: (K), alpha, the logit of the contamination rate of each true class
        - flip_logits: (K, K-1), logits of the rows of the flip matrix T over the other classes
        - switch_logits: the shape of target, g(x), which is added to alpha; None for g = 0
        - contaminated: the shape of target, 1 where a label is verified as wrong, 0 where it is
          verified as right, -1 where this is unknown; None if nothing is verified
        - true_label: the shape of target, verified true labels, -1 where they are unknown; None if
          nothing is verified
        - output: a scalar, or the shape of target for reduction "none"

    Args:
        reduction: "mean" over labelled elements, "sum" or "none", as in torch. The mean is 0 if no
            element is labelled.
        ignore_index: Value of target that means "no label". Such elements and their verified values
            are left out.

    Returns:
        The loss in nats, in the precision of the logits but at least in single precision.

    Raises:
        DataError: Shapes do not agree, a number is not finite, a label is not one of the K classes,
            or a verified value contradicts target or another verified value.

    Example:
        >>> f, y = torch.tensor([[4.0, 0.0]]), torch.tensor([1])
        >>> rare, other = torch.full((2,), -2.0), torch.zeros(2, 1)
        >>> nbam_loss(f, y, rare, other) < torch.nn.functional.cross_entropy(f, y)
        tensor(True)
    """
    target = checked_labels(logits, target, len(rate_logits), switch_logits, ignore_index)
    verified = verified_of(logits, target, contaminated, true_label, ignore_index)
    elements = elements_of(logits, target, switch_logits, verified, ignore_index)
    values = torch.where(
        elements.labelled, -nf.log_marginal(*checked_pair(elements, rate_logits, flip_logits)), 0.0
    )
    if reduction == "none":
        return values.view(target.shape)
    if reduction == "sum":
        return values.sum()
    # A batch may contain only ignored elements; their mean is defined as 0.
    return values.sum() / elements.labelled.sum().clamp_min(1)


def checked_pair(
    elements: Elements, rate_logits: Tensor, flip_logits: Tensor
) -> tuple[Tensor, Tensor]:
    """Check the parameters, and return the log joint probabilities of `Elements.pair`."""
    check_all_finite(
        {"rate_logits": rate_logits, "flip_logits": flip_logits},
        largest=LARGEST,
        mend="check whether the training has diverged",
    )
    return elements.pair(rate_logits, flip_logits)


def cross_entropy(
    logits: Tensor, target: Tensor, verified: Verified, reduction: Reduction, ignore_index: int
) -> Tensor:
    """Return torch's cross-entropy of verified true labels, or else of observed labels.

    Labels that are verified as wrong, without a true label, do not count. The mean of no labels is
    0.

    Args:
        logits: Predictions, (N, K, d1, ...).
        target: Observed labels, (N, d1, ...).
        verified: Verified values, in the shape of target.
        reduction: "mean", "sum" or "none".
        ignore_index: Value of target that means "no label".
    """
    clean, counted = verified.targets(target)
    target = torch.where(counted, clean, ignore_index)
    # If no element counts, torch's mean is NaN; the sum is 0.
    nothing = reduction == "mean" and not (target != ignore_index).any()
    chosen = "sum" if nothing else reduction
    return F.cross_entropy(logits, target, ignore_index=ignore_index, reduction=chosen)


def prior_penalty(rate_logits: Tensor, flip_logits: Tensor, prior: FlipPrior) -> Tensor:
    """Return the maxima of the log priors of rates and T minus their values, in nats.

    The maximum of T's prior is at rows with equal entries.

    Args:
        rate_logits: Logits of the contamination rate of each true class, (K,).
        flip_logits: Logits of the rows of T over the other classes, (K, K-1).
        prior: Pseudo-counts of contamination rates and flips.
    """
    k, log_flip = len(rate_logits), flip_logits.log_softmax(-1)
    flips = prior.flip * (-math.log(k - 1) - log_flip).sum()
    return rate_penalty(rate_logits, prior.rate) + flips
