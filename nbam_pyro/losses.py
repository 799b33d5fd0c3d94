r"""Drop-in criteria: the log marginal of a latent-switch story as a loss, in plain torch.

Importing this module pulls in neither Pyro nor Lightning. Each criterion is a function beside a
thin `torch.nn.Module` that owns the story's global parameters:

* `nbam_loss`, `NBAMLoss`: the latent true label (classification), where
  `torch.nn.CrossEntropyLoss` was;
* `nbam_regression_loss`, `NBAMRegressionLoss`: the latent switch with Normal clean and broad
  Normal anomaly likelihoods (regression), where `torch.nn.HuberLoss` was.
"""

import math
import warnings
from collections.abc import Iterable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nbam_pyro import functional as nf
from nbam_pyro.errors import DataError, OptimiserWarning
from nbam_pyro.priors import FlipPrior

__all__ = ["NBAMLoss", "NBAMRegressionLoss", "nbam_loss", "nbam_regression_loss"]

Reduction = Literal["mean", "sum", "none"]


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


def nbam_regression_loss(
    prediction: Tensor,
    target: Tensor,
    *,
    switch_logit: Tensor,
    log_scale: Tensor,
    anomaly_loc: Tensor,
    anomaly_scale: Tensor,
    reduction: Reduction = "mean",
) -> Tensor:
    r"""Negative log marginal of Normal measurements of which some are anomalies.

    .. math:: -\log\big( (1-\pi)\, N(y; f(x), \sigma) + \pi\, N(y; m, S) \big)

    Shape:
        - prediction, target: any common shape, in the units of the measurement
        - switch_logit, log_scale, anomaly_loc, anomaly_scale: broadcastable to it; logit of pi,
          log of sigma, m and S
        - output: a scalar, or the shape of target for reduction "none"

    Example:
        >>> y = torch.tensor([0.1, 50.0])
        >>> settings = dict(switch_logit=torch.tensor(-2.0), log_scale=torch.tensor(0.0))
        >>> broad = dict(anomaly_loc=torch.tensor(0.0), anomaly_scale=torch.tensor(30.0))
        >>> nbam_regression_loss(torch.zeros(2), y, **settings, **broad) < 10.0
        tensor(True)
    """
    pair = _regression_pair(
        prediction, target, switch_logit, log_scale, anomaly_loc, anomaly_scale
    )
    return _reduce(-nf.log_marginal(*pair), reduction)


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
        self.reduction = _known(reduction)
        self.ignore_index = ignore_index
        self.rate_logits = nn.Parameter(torch.zeros(num_classes))
        self.flip_logits = nn.Parameter(torch.zeros(num_classes, num_classes - 1))
        # The number of labelled elements seen by start_from; 0 means not started.
        self.register_buffer("num_data", torch.tensor(0))
        self._movement = _Movement()

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
        transition = nf.anchor_matrix(log_f[labelled], labels[labelled])
        rate, rows = nf.anchor_rates_and_flips(transition)
        self.rate_logits.copy_(rate.logit())
        self.flip_logits.copy_(rows.log())
        self.num_data.fill_(int(labelled.sum()))
        self._movement = _Movement()

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


class NBAMRegressionLoss(nn.Module):
    r"""Normal log-likelihood that knows measurements can be wrong; where `nn.HuberLoss` was.

    The rate pi and the noise scale sigma are parameters of the loss: give them to the optimiser.
    Until `start_from` has set them from residuals the value is the absolute error, which has no
    units to choose and resists outliers.

    Shape: prediction and target of any common shape; output a scalar, or that shape for "none".

    Args:
        prior: (a, b), the Beta pseudo-counts of the contamination rate.
        breadth: the anomaly's scale S in standard deviations of the targets, at least 1.
        reduction: "mean", "sum" or "none", as in torch.

    Example:
        >>> loss = NBAMRegressionLoss()
        >>> prediction = torch.linspace(-1, 1, 50)
        >>> target = prediction + 0.1 * torch.sin(37 * prediction)
        >>> target[7] = 9.0
        >>> loss.start_from(prediction, target)
        >>> loss.responsibility(prediction, target).argmax()
        tensor(7)
    """

    num_data: Tensor
    anomaly_loc: Tensor
    anomaly_scale: Tensor

    def __init__(
        self,
        *,
        prior: tuple[float, float] = (1.0, 9.0),
        breadth: float = 3.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        if min(prior) <= 0 or breadth < 1:
            raise DataError("prior needs positive pseudo-counts and breadth must be at least 1.")
        self.prior = prior
        self.breadth = breadth
        self.reduction = _known(reduction)
        self.switch_logit = nn.Parameter(torch.tensor(0.0))
        self.log_scale = nn.Parameter(torch.tensor(0.0))
        self.register_buffer("anomaly_loc", torch.tensor(0.0))
        self.register_buffer("anomaly_scale", torch.tensor(1.0))
        self.register_buffer("num_data", torch.tensor(0))
        self._movement = _Movement()

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The loss of a batch."""
        _same_shape(prediction, target)
        if not self.num_data:
            return F.l1_loss(prediction, target, reduction=self.reduction)
        if self.training and torch.is_grad_enabled():
            self._movement.check(self.parameters())
        a, b = self.prior
        log_prior = a * F.logsigmoid(self.switch_logit) + b * F.logsigmoid(-self.switch_logit)
        values = -nf.log_marginal(*self._pair(prediction, target)) - log_prior / self.num_data
        return _reduce(values, self.reduction)

    @torch.no_grad()
    def start_from(self, prediction: Tensor, target: Tensor) -> None:
        """Set scale, rate and the broad anomaly from the residuals of your own warm-up epochs.

        Args:
            prediction: predictions for the training rows in evaluation mode.
            target: measurements, the same shape.

        Raises:
            DataError: fewer than two rows, all targets equal, or the shapes do not fit.
        """
        _same_shape(prediction, target)
        if target.numel() < 2 or not target.std() > 0:
            raise DataError("start_from needs at least two rows with different targets.")
        residual = (target - prediction).abs().flatten()
        # 1.4826 MAD is the standard deviation of a Normal and ignores a minority of outliers.
        scale = (1.4826 * residual.median()).clamp_min(1e-3 * target.std())
        share = (residual > 3 * scale).float().mean().clamp(0.01, 0.5)
        self.log_scale.copy_(scale.log())
        self.switch_logit.copy_(share.logit())
        self.anomaly_loc.copy_(target.mean())
        self.anomaly_scale.copy_(self.breadth * target.std())
        self.num_data.fill_(target.numel())
        self._movement = _Movement()

    @torch.no_grad()
    def responsibility(self, prediction: Tensor, target: Tensor) -> Tensor:
        """P(z=1 | x, y) of every element, the shape of target.

        Raises:
            DataError: `start_from` has not been called, or the shapes do not fit.
        """
        _same_shape(prediction, target)
        if not self.num_data:
            raise DataError("The loss is still the absolute error: call start_from first.")
        return nf.responsibility(*self._pair(prediction, target))

    def _pair(self, prediction: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        return _regression_pair(
            prediction,
            target,
            self.switch_logit,
            self.log_scale,
            self.anomaly_loc,
            self.anomaly_scale,
        )


class _Movement:
    """Says once when a loss is trained for ten steps and its parameters have not moved."""

    patience = 10

    def __init__(self) -> None:
        self.steps = 0
        self.versions: list[int] | None = None

    def check(self, parameters: Iterable[nn.Parameter]) -> None:
        parameters = list(parameters)
        if self.steps > self.patience:
            return
        versions = [p._version for p in parameters]
        if self.versions is None:
            self.versions = versions
        if versions != self.versions:
            self.steps = self.patience + 1  # they move: nothing to say, now or later
            return
        self.steps += all(p.grad is not None for p in parameters)
        if self.steps == self.patience:
            self.steps += 1
            warnings.warn(
                f"The parameters of this loss have not moved in {self.patience} training steps: "
                "give them to the optimiser, for instance "
                "AdamW([*network.parameters(), *loss.parameters()]).",
                OptimiserWarning,
                stacklevel=4,
            )


def _regression_pair(
    prediction: Tensor, target: Tensor, logit: Tensor, log_scale: Tensor, loc: Tensor, scale: Tensor
) -> tuple[Tensor, Tensor]:
    clean = _normal_log_prob((target - prediction) / log_scale.exp(), log_scale)
    anomaly = _normal_log_prob((target - loc) / scale, scale.log())
    return nf.switch_log_joint(logit, clean, anomaly)


def _normal_log_prob(standardised: Tensor, log_scale: Tensor) -> Tensor:
    return -0.5 * standardised.square() - log_scale - 0.5 * math.log(2 * math.pi)


def _log_flip(flip_logits: Tensor) -> Tensor:
    return nf.zero_diagonal(flip_logits.log_softmax(-1), fill=-math.inf)


def _flatten(
    logits: Tensor, target: Tensor, switch_logits: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    rows = logits.movedim(1, -1).reshape(-1, logits.shape[1])
    deviation = None if switch_logits is None else switch_logits.reshape(-1)
    return rows.log_softmax(-1), target.reshape(-1), deviation


def _reduce(values: Tensor, reduction: Reduction) -> Tensor:
    return {"mean": torch.mean, "sum": torch.sum, "none": torch.Tensor.clone}[reduction](values)


def _known(reduction: Reduction) -> Reduction:
    if reduction not in ("mean", "sum", "none"):
        raise DataError(f"reduction is {reduction!r}; choose 'mean', 'sum' or 'none'.")
    return reduction


def _check_shapes(logits: Tensor, target: Tensor, k: int, switch: Tensor | None) -> None:
    if logits.ndim < 2 or logits.shape[1] != k:
        raise DataError(f"logits have shape {tuple(logits.shape)}; expected (N, {k}, ...).")
    expected = (logits.shape[0], *logits.shape[2:])
    if target.shape != expected:
        raise DataError(f"target has shape {tuple(target.shape)}; expected {expected}.")
    if switch is not None and switch.shape != expected:
        raise DataError(f"switch_logits have shape {tuple(switch.shape)}; expected {expected}.")


def _same_shape(prediction: Tensor, target: Tensor) -> None:
    if prediction.shape != target.shape:
        raise DataError(
            f"prediction has shape {tuple(prediction.shape)}, target {tuple(target.shape)}; "
            "they must agree (broadcasting hides mistakes here)."
        )
