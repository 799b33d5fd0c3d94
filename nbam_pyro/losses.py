r"""Drop-in criteria: the log marginal of a latent-switch story as a loss, in plain torch.

Importing this module pulls in neither Pyro nor Lightning. Each criterion is a function beside a
thin `torch.nn.Module` that owns the story's global parameters:

* `nbam_loss`, `NBAMLoss`: the latent true label (classification), where
  `torch.nn.CrossEntropyLoss` was;
* `nbam_regression_loss`, `NBAMRegressionLoss`: the latent switch with Normal clean and broad
  Normal anomaly likelihoods (regression), where `torch.nn.HuberLoss` was.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nbam_pyro import functional as nf
from nbam_pyro.anchors import anchor_counts, anchor_start
from nbam_pyro.criterion import Movement, Reduction, known_reduction
from nbam_pyro.errors import DataError
from nbam_pyro.priors import FlipPrior
from nbam_pyro.regression_loss import NBAMRegressionLoss, nbam_regression_loss

__all__ = ["NBAMLoss", "NBAMRegressionLoss", "nbam_loss", "nbam_regression_loss"]


def nbam_loss(
    logits: Tensor,
    target: Tensor,
    rate_logits: Tensor,
    flip_logits: Tensor,
    *,
    switch_logits: Tensor | None = None,
    reduction: Reduction = "mean",
    ignore_index: int = -100,
) -> Tensor:
    r"""Negative log marginal of the latent-true-label story.

    .. math:: -\log\Big( f_y (1 - \pi_y) + \sum_c f_c\, \pi_c\, T_{cy} \Big),
              \qquad \pi_c = \sigma(\alpha_c + g(x))

    Shape:
        - logits: (N, K) or (N, K, d1, ...), the clean predictor f before its softmax
        - target: (N) or (N, d1, ...), observed labels
        - rate_logits: (K), alpha, the logit of the contamination rate of each true class
        - flip_logits: (K, K-1), logits of the rows of T over the other classes
        - switch_logits: the shape of target, g(x), added to alpha; None for none
        - output: a scalar, or the shape of target for reduction "none"

    Args:
        reduction: "mean" over labelled elements, "sum" or "none", as in torch.
        ignore_index: target value that is left out.

    Raises:
        DataError: the shapes do not fit together.

    Example:
        >>> f, y = torch.tensor([[4.0, 0.0]]), torch.tensor([1])
        >>> rare, other = torch.full((2,), -2.0), torch.zeros(2, 1)
        >>> nbam_loss(f, y, rare, other) < torch.nn.functional.cross_entropy(f, y)
        tensor(True)
    """
    _check_shapes(logits, target, len(rate_logits), switch_logits)
    log_f, labels, deviation = _flatten(logits, target, switch_logits)
    labelled = labels != ignore_index
    log_flip = _log_flip(flip_logits)
    pair = nf.label_flip_log_joint(
        log_f, torch.where(labelled, labels, 0), rate_logits, log_flip, deviation
    )
    values = torch.where(labelled, -nf.log_marginal(*pair), 0.0)
    if reduction == "none":
        return values.view(target.shape)
    return values.sum() / labelled.sum() if reduction == "mean" else values.sum()


class NBAMLoss(nn.Module):
    r"""Cross-entropy that knows labels can be wrong; a drop-in for `torch.nn.CrossEntropyLoss`.

    Rates and flip matrix are parameters of the loss, under their log-priors (see `FlipPrior`; the
    mode is taken in logit space, where the priors act as pseudo-counts). Give them to the
    optimiser beside the network's. Until `start_from` has set them from anchors the value is
    plain cross-entropy: from an arbitrary start the story need not separate wrong labels from
    hard ones.

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
        self, logits: Tensor, target: Tensor, *, switch_logits: Tensor | None = None
    ) -> Tensor:
        """The loss of a batch; shapes as in `nbam_loss`."""
        _check_shapes(logits, target, self.num_classes, switch_logits)
        if not self.num_data:
            return F.cross_entropy(
                logits, target, reduction=self.reduction, ignore_index=self.ignore_index
            )
        if self.training and torch.is_grad_enabled():
            self._movement.check(self.parameters())
        value = nbam_loss(
            logits,
            target,
            self.rate_logits,
            self.flip_logits,
            switch_logits=switch_logits,
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
    def start_from(self, logits: Tensor, target: Tensor) -> None:
        """Set rates and flips from anchors; one line after your own warm-up epochs.

        Args:
            logits: predictions for the training rows in evaluation mode, shapes as in `forward`;
                the fewer epochs they have seen (or, best, from folds that did not see the row),
                the less the estimate is biased towards no contamination.
            target: observed labels.

        Raises:
            DataError: no element is labelled, or the shapes do not fit.
        """
        _check_shapes(logits, target, self.num_classes, None)
        log_f, labels, _ = _flatten(logits, target, None)
        labelled = labels != self.ignore_index
        if not labelled.any():
            raise DataError("start_from got no labelled element; pass the training rows.")
        rate, rows = anchor_start(anchor_counts(log_f[labelled], labels[labelled]), self.prior)
        self.rate_logits.copy_(rate.logit())
        self.flip_logits.copy_(rows.log())
        self.num_data.fill_(int(labelled.sum()))
        self._movement = Movement()

    @torch.no_grad()
    def responsibility(
        self, logits: Tensor, target: Tensor, *, switch_logits: Tensor | None = None
    ) -> Tensor:
        """P(z=1 | x, y) of every element, the shape of target; ignored ones keep their prior.

        Raises:
            DataError: `start_from` has not been called, or the shapes do not fit.
        """
        _check_shapes(logits, target, self.num_classes, switch_logits)
        if not self.num_data:
            raise DataError("The loss is still plain cross-entropy: call start_from first.")
        log_f, labels, deviation = _flatten(logits, target, switch_logits)
        labelled = labels != self.ignore_index
        pair = nf.label_flip_log_joint(
            log_f,
            torch.where(labelled, labels, 0),
            self.rate_logits,
            _log_flip(self.flip_logits),
            deviation,
        )
        prior = nf.label_flip_switch_logits(log_f, self.rate_logits, deviation).sigmoid()
        return torch.where(labelled, nf.responsibility(*pair), prior).view(target.shape)

    @property
    def transition_matrix(self) -> Tensor:
        """M = p(observed | true) at g = 0, (K, K)."""
        flip = _log_flip(self.flip_logits).exp()
        return nf.transition_matrix(self.rate_logits.sigmoid(), flip).detach()

    def _log_prior(self) -> Tensor:
        a, b = self.prior.rate
        rate = a * F.logsigmoid(self.rate_logits) + b * F.logsigmoid(-self.rate_logits)
        return rate.sum() + self.prior.flip * self.flip_logits.log_softmax(-1).sum()


def _log_flip(flip_logits: Tensor) -> Tensor:
    return nf.zero_diagonal(flip_logits.log_softmax(-1), fill=-math.inf)


def _flatten(
    logits: Tensor, target: Tensor, switch_logits: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    rows = logits.movedim(1, -1).reshape(-1, logits.shape[1])
    deviation = None if switch_logits is None else switch_logits.reshape(-1)
    return rows.log_softmax(-1), target.reshape(-1), deviation


def _check_shapes(logits: Tensor, target: Tensor, k: int, switch: Tensor | None) -> None:
    if logits.ndim < 2 or logits.shape[1] != k:
        raise DataError(f"logits have shape {tuple(logits.shape)}; expected (N, {k}, ...).")
    expected = (logits.shape[0], *logits.shape[2:])
    if target.shape != expected:
        raise DataError(f"target has shape {tuple(target.shape)}; expected {expected}.")
    if switch is not None and switch.shape != expected:
        raise DataError(f"switch_logits have shape {tuple(switch.shape)}; expected {expected}.")
