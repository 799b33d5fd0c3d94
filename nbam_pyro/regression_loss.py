"""The latent switch as a drop-in criterion of regression; use it through `nbam_pyro.losses`."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nbam_pyro import functional as nf
from nbam_pyro.criterion import Movement, Reduction, known_reduction, reduce
from nbam_pyro.errors import DataError
from nbam_pyro.verified import Verified

__all__ = ["NBAMRegressionLoss", "nbam_regression_loss"]


def nbam_regression_loss(
    prediction: Tensor,
    target: Tensor,
    *,
    switch_logit: Tensor,
    log_scale: Tensor,
    anomaly_loc: Tensor,
    anomaly_scale: Tensor,
    contaminated: Tensor | None = None,
    reduction: Reduction = "mean",
) -> Tensor:
    r"""Negative log marginal of Normal measurements of which some are anomalies.

    .. math:: -\log\big( (1-\pi)\, N(y; f(x), \sigma) + \pi\, N(y; m, S) \big)

    Shape:
        - prediction, target: any common shape, in the units of the measurement
        - switch_logit, log_scale, anomaly_loc, anomaly_scale: broadcastable to it; logit of pi,
          log of sigma, m and S
        - contaminated: the shape of target, 1 where verified as contaminated, 0 as clean, -1 where
          unknown; the other term is left out of the sum there. None where nothing is verified
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
        contaminated=contaminated,
    )
    return reduce(-nf.log_marginal(*pair), reduction)


class NBAMRegressionLoss(nn.Module):
    r"""Normal log-likelihood that knows measurements can be wrong; where `nn.HuberLoss` was.

    The rate pi and the noise scale sigma are parameters of the loss: give them to the optimiser.
    Until `start_from` has set them from residuals the value is the absolute error, which has no
    units to choose and resists outliers; verified ones are left out of it.

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

    def forward(
        self, prediction: Tensor, target: Tensor, *, contaminated: Tensor | None = None
    ) -> Tensor:
        """The loss of a batch; contaminated as in `nbam_regression_loss`."""
        _same_shape(prediction, target)
        if not self.num_data:
            if contaminated is None:
                return F.l1_loss(prediction, target, reduction=self.reduction)
            counted = _counted(target, contaminated)
            values = F.l1_loss(prediction, target, reduction="none").where(counted, 0.0)
            # A batch may consist of nothing but outliers, of which no mean can be taken.
            number = counted.sum().clamp_min(1) if self.reduction == "mean" else 1
            return values if self.reduction == "none" else values.sum() / number
        if self.training and torch.is_grad_enabled():
            self._movement.check(self.parameters())
        a, b = self.prior
        log_prior = a * F.logsigmoid(self.switch_logit) + b * F.logsigmoid(-self.switch_logit)
        pair = self._pair(prediction, target, contaminated)
        return reduce(-nf.log_marginal(*pair) - log_prior / self.num_data, self.reduction)

    @torch.no_grad()
    def start_from(
        self, prediction: Tensor, target: Tensor, *, contaminated: Tensor | None = None
    ) -> None:
        """Set scale, rate and the broad anomaly from the residuals of your own warm-up epochs.

        Args:
            prediction: predictions for the training rows in evaluation mode.
            target: measurements, the same shape.
            contaminated: as in `forward`; verified outliers tell nothing of the scale.

        Raises:
            DataError: fewer than two rows that are not verified as contaminated, all targets equal,
                or the shapes do not fit.
        """
        _same_shape(prediction, target)
        counted = _counted(target, contaminated)
        if counted.sum() < 2 or not target.std() > 0:
            raise DataError("start_from needs at least two rows with different targets.")
        residual = (target - prediction).abs()[counted]
        # 1.4826 MAD is the standard deviation of a Normal and ignores a minority of outliers.
        scale = (1.4826 * residual.median()).clamp_min(1e-3 * target.std())
        wrong = (residual > 3 * scale).sum() + (~counted).sum()
        share = (wrong / target.numel()).clamp(0.01, 0.5)
        self.log_scale.copy_(scale.log())
        self.switch_logit.copy_(share.logit())
        self.anomaly_loc.copy_(target.mean())
        self.anomaly_scale.copy_(self.breadth * target.std())
        self.num_data.fill_(target.numel())
        self._movement = Movement()

    @torch.no_grad()
    def responsibility(
        self, prediction: Tensor, target: Tensor, *, contaminated: Tensor | None = None
    ) -> Tensor:
        """P(z=1 | x, y) of every element, the shape of target.

        Raises:
            DataError: `start_from` has not been called, or the shapes do not fit.
        """
        _same_shape(prediction, target)
        if not self.num_data:
            raise DataError("The loss is still the absolute error: call start_from first.")
        return nf.responsibility(*self._pair(prediction, target, contaminated))

    def _pair(
        self, prediction: Tensor, target: Tensor, contaminated: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        return _regression_pair(
            prediction,
            target,
            switch_logit=self.switch_logit,
            log_scale=self.log_scale,
            anomaly_loc=self.anomaly_loc,
            anomaly_scale=self.anomaly_scale,
            contaminated=contaminated,
        )


def _regression_pair(
    prediction: Tensor,
    target: Tensor,
    *,
    switch_logit: Tensor,
    log_scale: Tensor,
    anomaly_loc: Tensor,
    anomaly_scale: Tensor,
    contaminated: Tensor | None,
) -> tuple[Tensor, Tensor]:
    clean = _normal_log_prob((target - prediction) / log_scale.exp(), log_scale)
    anomaly = _normal_log_prob((target - anomaly_loc) / anomaly_scale, anomaly_scale.log())
    a, b = nf.switch_log_joint(switch_logit, clean, anomaly)
    if contaminated is None:
        return a, b
    return nf.observe_switch(a, b, Verified.of(target, contaminated=contaminated).contaminated)


def _counted(target: Tensor, contaminated: Tensor | None) -> Tensor:
    return Verified.of(target, contaminated=contaminated).supposed(target)[1]


def _normal_log_prob(standardised: Tensor, log_scale: Tensor) -> Tensor:
    return -0.5 * standardised.square() - log_scale - 0.5 * math.log(2 * math.pi)


def _same_shape(prediction: Tensor, target: Tensor) -> None:
    if prediction.shape != target.shape:
        raise DataError(
            f"prediction has shape {tuple(prediction.shape)}, target {tuple(target.shape)}; "
            "they must agree (broadcasting hides mistakes here)."
        )
