"""The latent switch as a drop-in criterion of regression; use it through `nbam_pyro.losses`."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nbam_pyro import functional as nf
from nbam_pyro.criterion import Movement, Reduction, known_reduction, reduce
from nbam_pyro.errors import DataError

__all__ = ["NBAMRegressionLoss", "nbam_regression_loss"]


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
        prediction,
        target,
        switch_logit=switch_logit,
        log_scale=log_scale,
        anomaly_loc=anomaly_loc,
        anomaly_scale=anomaly_scale,
    )
    return reduce(-nf.log_marginal(*pair), reduction)


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
        self.reduction = known_reduction(reduction)
        self.switch_logit = nn.Parameter(torch.tensor(0.0))
        self.log_scale = nn.Parameter(torch.tensor(0.0))
        self.register_buffer("anomaly_loc", torch.tensor(0.0))
        self.register_buffer("anomaly_scale", torch.tensor(1.0))
        self.register_buffer("num_data", torch.tensor(0))
        self._movement = Movement()

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
        return reduce(values, self.reduction)

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
        self._movement = Movement()

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
            switch_logit=self.switch_logit,
            log_scale=self.log_scale,
            anomaly_loc=self.anomaly_loc,
            anomaly_scale=self.anomaly_scale,
        )


def _regression_pair(
    prediction: Tensor,
    target: Tensor,
    *,
    switch_logit: Tensor,
    log_scale: Tensor,
    anomaly_loc: Tensor,
    anomaly_scale: Tensor,
) -> tuple[Tensor, Tensor]:
    clean = _normal_log_prob((target - prediction) / log_scale.exp(), log_scale)
    anomaly = _normal_log_prob((target - anomaly_loc) / anomaly_scale, anomaly_scale.log())
    return nf.switch_log_joint(switch_logit, clean, anomaly)


def _normal_log_prob(standardised: Tensor, log_scale: Tensor) -> Tensor:
    return -0.5 * standardised.square() - log_scale - 0.5 * math.log(2 * math.pi)


def _same_shape(prediction: Tensor, target: Tensor) -> None:
    if prediction.shape != target.shape:
        raise DataError(
            f"prediction has shape {tuple(prediction.shape)}, target {tuple(target.shape)}; "
            "they must agree (broadcasting hides mistakes here)."
        )
