"""The loss module for classification with wrong labels, in plain torch."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nbam_pyro import functional as nf
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
    checked_labels,
    elements_of,
    log_flip_of,
    verified_of,
)
from nbam_pyro.losses.label_flip import checked_pair, nbam_loss
from nbam_pyro.models.priors.pseudo_counts import FlipPrior
from nbam_pyro.outputs.anchors import anchor_counts, anchor_start
from nbam_pyro.verified import Verified

__all__ = ["NBAMLoss"]


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
        r = nf.responsibility(*checked_pair(elements, self.rate_logits, self.flip_logits))
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
