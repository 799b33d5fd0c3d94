"""The loss for classification with wrong labels, in plain torch."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nbam_pyro import functional as nf
from nbam_pyro.checks.numbers import LARGEST, check_finite
from nbam_pyro.errors import DataError
from nbam_pyro.losses.criterion import (
    Movement,
    Reduction,
    adopt_precision,
    adopt_saved_precision,
    known_reduction,
    rate_penalty,
)
from nbam_pyro.losses.elements import (
    Elements,
    checked_labels,
    elements_of,
    log_flip_of,
    verified_of,
)
from nbam_pyro.models.priors.pseudo_counts import FlipPrior
from nbam_pyro.outputs.anchors import anchor_counts, anchor_start
from nbam_pyro.verified import Verified

__all__ = ["NBAMLoss", "nbam_loss"]


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
        elements.labelled, -nf.log_marginal(*_pair(elements, rate_logits, flip_logits)), 0.0
    )
    if reduction == "none":
        return values.view(target.shape)
    if reduction == "sum":
        return values.sum()
    # A batch may contain only ignored elements; their mean is defined as 0.
    return values.sum() / elements.labelled.sum().clamp_min(1)


class NBAMLoss(nn.Module):
    r"""Loss for training with wrong labels; a replacement for `torch.nn.CrossEntropyLoss`.

    The value is that of `nbam_loss`. The contamination rates and the flip matrix T are parameters
    of the loss: give them to the optimiser together with those of the network. `FlipPrior` is their
    prior (in logit coordinates, where its numbers act as pseudo-counts). The log prior, minus its
    maximum, is divided equally among the elements.

    Use it in three steps. Train the network for a few epochs; call `start_from`; continue. Before
    `start_from` the loss is plain cross-entropy; a verified true label replaces the observed label.
    The reason is that with arbitrary rates the loss may not separate wrong labels from difficult
    ones. `start_from` estimates rates and T from anchors: rows whose true label is nearly certain.
    If its predictions are in double precision, the parameters are converted to double precision.

    Shape: as in `nbam_loss`.

    Args:
        num_classes: Number of classes K, at least 2.
        prior: Pseudo-counts of contamination rates and flips; None for `FlipPrior()`.
        reduction: "mean", "sum" or "none", as in torch.
        ignore_index: Value of target that means "no label".

    Raises:
        DataError: There are fewer than two classes, or the reduction is unknown.

    Example:
        >>> loss = NBAMLoss(3)
        >>> logits, target = torch.eye(3).repeat(10, 1) * 4, torch.arange(3).repeat(10)
        >>> bool(loss(logits, target) == torch.nn.functional.cross_entropy(logits, target))
        True
        >>> loss.start_from(logits, target)
        >>> loss.responsibility(logits, target).max() < 0.01
        tensor(True)
    """

    num_data: Tensor

    def __init__(
        self,
        num_classes: int,
        *,
        prior: FlipPrior | None = None,
        reduction: Reduction = "mean",
        ignore_index: int = -100,
    ) -> None:
        super().__init__()
        if num_classes < 2:
            raise DataError(f"num_classes is {num_classes}, but it must be at least 2.")
        self.num_classes = num_classes
        self.prior = prior or FlipPrior()
        self.reduction = known_reduction(reduction)
        self.ignore_index = ignore_index
        self.rate_logits = nn.Parameter(torch.zeros(num_classes))
        self.flip_logits = nn.Parameter(torch.zeros(num_classes, num_classes - 1))
        # Number of labelled elements in start_from; 0 until it is called.
        self.register_buffer("num_data", torch.tensor(0))
        self.register_load_state_dict_pre_hook(adopt_saved_precision)
        self._movement = Movement()

    def forward(
        self,
        logits: Tensor,
        target: Tensor,
        *,
        switch_logits: Tensor | None = None,
        contaminated: Tensor | None = None,
        true_label: Tensor | None = None,
    ) -> Tensor:
        """Return the loss of a batch; shapes and errors are those of `nbam_loss`."""
        if not self.num_data:
            target = self._checked(logits, target, switch_logits)
            verified = verified_of(logits, target, contaminated, true_label, self.ignore_index)
            return self._cross_entropy(logits, target, verified)
        value = nbam_loss(
            logits,
            target,
            self.rate_logits,
            self.flip_logits,
            switch_logits=switch_logits,
            contaminated=contaminated,
            true_label=true_label,
            reduction=self.reduction,
            ignore_index=self.ignore_index,
        )
        if self.training and torch.is_grad_enabled():
            self._movement.check(self.parameters(), logits)
        # int64, because an unsigned target cannot be compared with a negative ignore_index.
        labelled = target.long() != self.ignore_index
        share = self._prior_penalty() / self.num_data
        if self.reduction == "mean":
            return value + share * labelled.any()
        return value + share * (labelled.sum() if self.reduction == "sum" else labelled)

    @torch.no_grad()
    def start_from(
        self,
        logits: Tensor,
        target: Tensor,
        *,
        contaminated: Tensor | None = None,
        true_label: Tensor | None = None,
    ) -> None:
        """Estimate rates and flips from anchors; call it once, after a few warm-up epochs.

        Args:
            logits: Predictions for the training rows in evaluation mode, shapes as in `forward`. A
                network that has been trained for many epochs repeats wrong labels, which makes the
                estimated rates too low. Predictions out of fold (by a network that was not trained
                on the row) are best. The second best are predictions after a few epochs.
            target: Observed labels.
            contaminated: Verified switches, as in `forward`.
            true_label: Verified true labels, as in `forward`. They are treated as certain.

        Raises:
            DataError: No element is labelled, shapes do not agree, a number is not finite, a label
                is not one of the K classes, or a verified value contradicts target or another
                verified value.
        """
        target = self._checked(logits, target, None)
        verified = verified_of(logits, target, contaminated, true_label, self.ignore_index)
        log_f, labels, labelled, *_ = elements_of(logits, target, None, verified, self.ignore_index)
        if not labelled.any():
            raise DataError("No element is labelled in start_from. Pass the training rows.")
        counts = anchor_counts(
            log_f[labelled],
            labels[labelled],
            verified=verified.flatten()[labelled],
        )
        adopt_precision(self, logits)
        rate, rows = anchor_start(counts.double(), self.prior)
        self.rate_logits.copy_(rate.logit())
        self.flip_logits.copy_(rows.log())
        self.num_data.fill_(int(labelled.sum()))
        self._movement = Movement()

    @torch.no_grad()
    def responsibility(
        self,
        logits: Tensor,
        target: Tensor,
        *,
        switch_logits: Tensor | None = None,
        contaminated: Tensor | None = None,
        true_label: Tensor | None = None,
    ) -> Tensor:
        """Return the probability that each label is wrong, P(z=1 | x, y), in the shape of target.

        An element without a label has its prior probability P(z=1 | x).

        Raises:
            DataError: `start_from` has not been called, shapes do not agree, a number is not
                finite, a label is not one of the K classes, or a verified value contradicts target
                or another verified value.
        """
        target = self._checked(logits, target, switch_logits)
        if not self.num_data:
            raise DataError("The loss is still plain cross-entropy. Call start_from first.")
        verified = verified_of(logits, target, contaminated, true_label, self.ignore_index)
        elements = elements_of(logits, target, switch_logits, verified, self.ignore_index)
        r = nf.responsibility(*_pair(elements, self.rate_logits, self.flip_logits))
        prior = nf.label_flip_switch_logits(
            elements.log_f, self.rate_logits, elements.deviation
        ).sigmoid()
        return torch.where(elements.labelled, r, prior).view(target.shape)

    @property
    def transition_matrix(self) -> Tensor:
        """Transition matrix M = p(observed | true) at g = 0, (K, K)."""
        flip = log_flip_of(self.flip_logits).exp()
        return nf.transition_matrix(self.rate_logits.sigmoid(), flip).detach()

    def _cross_entropy(self, logits: Tensor, target: Tensor, verified: Verified) -> Tensor:
        clean, counted = verified.targets(target)
        target = torch.where(counted, clean, self.ignore_index)
        # If no element counts, torch's mean is NaN; the sum is 0.
        nothing = self.reduction == "mean" and not (target != self.ignore_index).any()
        reduction = "sum" if nothing else self.reduction
        return F.cross_entropy(logits, target, ignore_index=self.ignore_index, reduction=reduction)

    def _checked(self, logits: Tensor, target: Tensor, switch_logits: Tensor | None) -> Tensor:
        return checked_labels(logits, target, self.num_classes, switch_logits, self.ignore_index)

    def _prior_penalty(self) -> Tensor:
        """Return the maxima of the log priors minus their values (for T, at even rows)."""
        k, log_flip = self.num_classes, self.flip_logits.log_softmax(-1)
        flips = self.prior.flip * (-math.log(k - 1) - log_flip).sum()
        return rate_penalty(self.rate_logits, self.prior.rate) + flips


def _pair(elements: Elements, rate_logits: Tensor, flip_logits: Tensor) -> tuple[Tensor, Tensor]:
    """Check the parameters, and return the log joint probabilities of `Elements.pair`."""
    for name, values in {"rate_logits": rate_logits, "flip_logits": flip_logits}.items():
        check_finite(values, name, largest=LARGEST, mend="check whether the training has diverged")
    return elements.pair(rate_logits, flip_logits)
