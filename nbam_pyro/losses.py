r"""Drop-in criteria: the log marginal of a latent-switch story as a loss, in plain torch.

Importing this module pulls in neither Pyro nor Lightning. Each criterion is a function beside a
thin `torch.nn.Module` that owns the story's global parameters:

* `nbam_loss`, `NBAMLoss`: the latent true label (classification), where
  `torch.nn.CrossEntropyLoss` was;
* `nbam_regression_loss`, `NBAMRegressionLoss`: the latent switch with Normal clean and broad
  Normal anomaly likelihoods (regression), where `torch.nn.HuberLoss` was.
"""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nbam_pyro import functional as nf
from nbam_pyro.anchors import anchor_counts, anchor_start
from nbam_pyro.criterion import Movement, Reduction, known_reduction
from nbam_pyro.elements import check_shapes, elements_of, log_flip_of, verified_of
from nbam_pyro.errors import DataError
from nbam_pyro.priors import FlipPrior
from nbam_pyro.regression_loss import NBAMRegressionLoss, nbam_regression_loss
from nbam_pyro.verified import Verified

__all__ = ["NBAMLoss", "NBAMRegressionLoss", "nbam_loss", "nbam_regression_loss"]


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
        - target: (N) or (N, d1, ...), observed labels
        - rate_logits: (K), alpha, the logit of the contamination rate of each true class
        - flip_logits: (K, K-1), logits of the rows of T over the other classes
        - switch_logits: the shape of target, g(x), added to alpha; None for none
        - contaminated: the shape of target, 1 where verified as contaminated, 0 as clean, -1 where
          unknown; None where nothing is verified
        - true_label: the shape of target, verified true labels, -1 where unknown; None for none
        - output: a scalar, or the shape of target for reduction "none"

    Args:
        reduction: "mean" over labelled elements, "sum" or "none", as in torch.
        ignore_index: target value that is left out, whatever is verified of it.

    Raises:
        DataError: the shapes do not fit together, or what is verified contradicts target or itself.

    Example:
        >>> f, y = torch.tensor([[4.0, 0.0]]), torch.tensor([1])
        >>> rare, other = torch.full((2,), -2.0), torch.zeros(2, 1)
        >>> nbam_loss(f, y, rare, other) < torch.nn.functional.cross_entropy(f, y)
        tensor(True)
    """
    check_shapes(logits, target, len(rate_logits), switch_logits)
    verified = verified_of(logits, target, contaminated, true_label, ignore_index)
    elements = elements_of(logits, target, switch_logits, verified, ignore_index)
    pair = elements.pair(rate_logits, flip_logits)
    values = torch.where(elements.labelled, -nf.log_marginal(*pair), 0.0)
    if reduction == "none":
        return values.view(target.shape)
    return values.sum() / elements.labelled.sum() if reduction == "mean" else values.sum()


class NBAMLoss(nn.Module):
    r"""Cross-entropy that knows labels can be wrong; a drop-in for `torch.nn.CrossEntropyLoss`.

    Rates and flip matrix are parameters of the loss, under their log-priors (see `FlipPrior`; the
    mode is taken in logit space, where the priors act as pseudo-counts). Give them to the
    optimiser beside the network's. Until `start_from` has set them from anchors the value is
    plain cross-entropy, to verified true labels where there are any: from an arbitrary start the
    story need not separate wrong labels from hard ones.

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
        """The loss of a batch; shapes as in `nbam_loss`."""
        check_shapes(logits, target, self.num_classes, switch_logits)
        if not self.num_data:
            verified = verified_of(logits, target, contaminated, true_label, self.ignore_index)
            return self._cross_entropy(logits, target, verified)
        if self.training and torch.is_grad_enabled():
            self._movement.check(self.parameters())
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
        share = -self._log_prior() / self.num_data
        if self.reduction == "mean":
            return value + share
        labelled = target != self.ignore_index
        if self.reduction == "sum":
            return value + share * labelled.sum()
        return value + share * labelled

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
            DataError: no element is labelled, the shapes do not fit, or what is verified
                contradicts target or itself.
        """
        check_shapes(logits, target, self.num_classes, None)
        verified = verified_of(logits, target, contaminated, true_label, self.ignore_index)
        log_f, labels, labelled, *_ = elements_of(logits, target, None, verified, self.ignore_index)
        if not labelled.any():
            raise DataError("start_from got no labelled element; pass the training rows.")
        counts = anchor_counts(
            log_f[labelled],
            labels[labelled],
            verified=None if verified is None else verified.flatten()[labelled],
        )
        rate, rows = anchor_start(counts, self.prior)
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
            DataError: `start_from` has not been called, the shapes do not fit, or what is verified
                contradicts target or itself.
        """
        check_shapes(logits, target, self.num_classes, switch_logits)
        if not self.num_data:
            raise DataError("The loss is still plain cross-entropy: call start_from first.")
        verified = verified_of(logits, target, contaminated, true_label, self.ignore_index)
        elements = elements_of(logits, target, switch_logits, verified, self.ignore_index)
        r = nf.responsibility(*elements.pair(self.rate_logits, self.flip_logits))
        prior = nf.label_flip_switch_logits(
            elements.log_f, self.rate_logits, elements.deviation
        ).sigmoid()
        return torch.where(elements.labelled, r, prior).view(target.shape)

    @property
    def transition_matrix(self) -> Tensor:
        """M = p(observed | true) at g = 0, (K, K)."""
        flip = log_flip_of(self.flip_logits).exp()
        return nf.transition_matrix(self.rate_logits.sigmoid(), flip).detach()

    def _cross_entropy(self, logits: Tensor, target: Tensor, verified: Verified | None) -> Tensor:
        loss = partial(F.cross_entropy, logits, ignore_index=self.ignore_index)
        if verified is None:
            return loss(target, reduction=self.reduction)
        supposed, counted = verified.supposed(target)
        target = torch.where(counted, supposed, self.ignore_index)
        if self.reduction != "mean":
            return loss(target, reduction=self.reduction)
        # A batch may consist of nothing but wrong labels, of which no mean can be taken.
        number = (target != self.ignore_index).sum().clamp_min(1)
        return loss(target, reduction="sum") / number

    def _log_prior(self) -> Tensor:
        a, b = self.prior.rate
        rate = a * F.logsigmoid(self.rate_logits) + b * F.logsigmoid(-self.rate_logits)
        return rate.sum() + self.prior.flip * self.flip_logits.log_softmax(-1).sum()
