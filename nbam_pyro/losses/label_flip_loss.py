"""The log marginal of a latent true label as a loss, in plain torch."""

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
    r"""Negative log marginal of the latent-true-label story.

    .. math:: -\log\Big( f_y (1 - \pi_y) + \sum_c f_c\, \pi_c\, T_{cy} \Big),
              \qquad \pi_c = \sigma(\alpha_c + g(x))

    Of a verified element only the terms that agree with what is verified are left in the sum.

    Shape:
        - logits: (N, K) or (N, K, d1, ...), the clean predictor f before its softmax
        - target: (N) or (N, d1, ...), observed labels 0, ..., K-1 of any integer type
        - rate_logits: (K), alpha, the logit of the contamination rate of each true class
        - flip_logits: (K, K-1), logits of the rows of T over the other classes
        - switch_logits: the shape of target, g(x), added to alpha; None for none
        - contaminated: the shape of target, 1 where verified as contaminated, 0 as clean, -1 where
          unknown; None where nothing is verified
        - true_label: the shape of target, verified true labels, -1 where unknown; None for none
        - output: a scalar, or the shape of target for reduction "none"

    Args:
        reduction: "mean" over labelled elements, "sum" or "none", as in torch. The mean of no
            labelled element is 0.
        ignore_index: target value that is left out, whatever is verified of it.

    Returns:
        the loss, in the precision of the logits but at least in single precision.

    Raises:
        DataError: the shapes do not fit together, a number is not finite, a label is no class, or
            what is verified contradicts target or itself.

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
    # A batch may hold nothing but ignored elements, of which no mean can be taken.
    return values.sum() / elements.labelled.sum().clamp_min(1)


class NBAMLoss(nn.Module):
    r"""Cross-entropy that knows labels can be wrong; a drop-in for `torch.nn.CrossEntropyLoss`.

    Rates and flip matrix are parameters of the loss, under their log-priors (see `FlipPrior`; the
    mode is taken in logit space, where the priors act as pseudo-counts). Give them to the
    optimiser beside the network's. Until `start_from` has set them from anchors the value is
    plain cross-entropy, to verified true labels where there are any: from an arbitrary start the
    story need not separate wrong labels from hard ones. The log-priors count from their maximum:
    their constants, which are large where classes are many, are not in the value.

    Predictions in double precision at `start_from` put the loss's parameters into it.

    Shape: as `nbam_loss`.

    Args:
        num_classes: K, at least 2.
        prior: pseudo-counts of rates and flips.
        reduction: "mean", "sum" or "none", as in torch.
        ignore_index: target value that is left out.

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
            raise DataError(f"num_classes is {num_classes}; a label needs at least two classes.")
        self.num_classes = num_classes
        self.prior = prior or FlipPrior()
        self.reduction = known_reduction(reduction)
        self.ignore_index = ignore_index
        self.rate_logits = nn.Parameter(torch.zeros(num_classes))
        self.flip_logits = nn.Parameter(torch.zeros(num_classes, num_classes - 1))
        # The number of labelled elements seen by start_from; 0 means not started.
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
        """The loss of a batch; shapes and errors as in `nbam_loss`."""
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
        # Wider than what it is compared with, which need not hold a negative ignore_index.
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
        """Set rates and flips from anchors; one line after your own warm-up epochs.

        Args:
            logits: predictions for the training rows in evaluation mode, shapes as in `forward`;
                the fewer epochs they have seen (or, best, from folds that did not see the row),
                the less the estimate is biased towards no contamination.
            target: observed labels.
            contaminated: what is verified of them, as in `forward`; they are counted as such.
            true_label: what is verified of them, as in `forward`; they are counted as such.

        Raises:
            DataError: no element is labelled, the shapes do not fit, a number is not finite, a
                label is no class, or what is verified contradicts target or itself.
        """
        target = self._checked(logits, target, None)
        verified = verified_of(logits, target, contaminated, true_label, self.ignore_index)
        log_f, labels, labelled, *_ = elements_of(logits, target, None, verified, self.ignore_index)
        if not labelled.any():
            raise DataError("start_from got no labelled element; pass the training rows.")
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
        """P(z=1 | x, y) of every element, the shape of target; ignored ones keep their prior.

        Raises:
            DataError: `start_from` has not been called, the shapes do not fit, a number is not
                finite, a label is no class, or what is verified contradicts target or itself.
        """
        target = self._checked(logits, target, switch_logits)
        if not self.num_data:
            raise DataError("The loss is still plain cross-entropy: call start_from first.")
        verified = verified_of(logits, target, contaminated, true_label, self.ignore_index)
        elements = elements_of(logits, target, switch_logits, verified, self.ignore_index)
        r = nf.responsibility(*_pair(elements, self.rate_logits, self.flip_logits))
        prior = nf.label_flip_switch_logits(
            elements.log_f, self.rate_logits, elements.deviation
        ).sigmoid()
        return torch.where(elements.labelled, r, prior).view(target.shape)

    @property
    def transition_matrix(self) -> Tensor:
        """M = p(observed | true) at g = 0, (K, K)."""
        flip = log_flip_of(self.flip_logits).exp()
        return nf.transition_matrix(self.rate_logits.sigmoid(), flip).detach()

    def _cross_entropy(self, logits: Tensor, target: Tensor, verified: Verified) -> Tensor:
        clean, counted = verified.targets(target)
        target = torch.where(counted, clean, self.ignore_index)
        # A batch may hold nothing but ignored elements or wrong labels, of which torch's mean is
        # NaN; their sum is 0.
        nothing = self.reduction == "mean" and not (target != self.ignore_index).any()
        reduction = "sum" if nothing else self.reduction
        return F.cross_entropy(logits, target, ignore_index=self.ignore_index, reduction=reduction)

    def _checked(self, logits: Tensor, target: Tensor, switch_logits: Tensor | None) -> Tensor:
        return checked_labels(logits, target, self.num_classes, switch_logits, self.ignore_index)

    def _prior_penalty(self) -> Tensor:
        """How far the log priors lie below their maximum, where T is even."""
        k, log_flip = self.num_classes, self.flip_logits.log_softmax(-1)
        flips = self.prior.flip * (-math.log(k - 1) - log_flip).sum()
        return rate_penalty(self.rate_logits, self.prior.rate) + flips


def _pair(elements: Elements, rate_logits: Tensor, flip_logits: Tensor) -> tuple[Tensor, Tensor]:
    for name, values in {"rate_logits": rate_logits, "flip_logits": flip_logits}.items():
        check_finite(values, name, largest=LARGEST, mend="look for a training that has diverged")
    return elements.pair(rate_logits, flip_logits)
