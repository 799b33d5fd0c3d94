"""The loss for regression with wrong measurements, in plain torch."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nbam_pyro import functional as nf
from nbam_pyro.checks.numbers import LARGEST, check_finite
from nbam_pyro.checks.resolution import check_resolution, needed_spacing, robust_scatter
from nbam_pyro.errors import DataError
from nbam_pyro.losses.criterion import (
    Movement,
    Reduction,
    adopt_precision,
    adopt_saved_precision,
    known_reduction,
    rate_penalty,
    reduce,
)
from nbam_pyro.losses.measurements import checked_targets, counted_targets, regression_pair

__all__ = ["NBAMRegressionLoss", "nbam_regression_loss"]

# The scatter of fewer targets is too uncertain; they may be equal by chance.
_ENOUGH = 20


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
    r"""Return the negative log marginal of Normal measurements of which some are anomalies.

    With the contamination rate :math:`\pi`, the prediction f(x), the noise scale :math:`\sigma`,
    and an anomaly likelihood with location m and scale S, it is

    .. math:: -\log\big( (1-\pi)\, N(y; f(x), \sigma) + \pi\, N(y; m, S) \big)

    Shape:
        - prediction, target: any common shape, in the units of the measurement
        - switch_logit, log_scale, anomaly_loc, anomaly_scale: broadcastable to it; the logit of pi,
          the logarithm of sigma, m and S
        - contaminated: the shape of target, 1 where a measurement is verified as contaminated, 0
          where it is verified as clean, -1 where this is unknown; the sum then keeps only the term
          that is verified. None if nothing is verified
        - output: a scalar, or the shape of target for reduction "none"

    Args:
        reduction: "mean", "sum" or "none", as in torch.

    Raises:
        DataError: Shapes do not agree, a number is not finite, a scale is not positive, a target
            has density 0 under both likelihoods after rounding, or the type of prediction or
            target is too coarse. A type is too coarse if the distance of neighbouring numbers, at
            the size of the targets, is larger than a hundredth of the targets' robust scatter. With
            fewer than 20 targets, or with equal targets, the limit is the noise scale.

    Example:
        >>> y = torch.tensor([0.1, 50.0])
        >>> settings = dict(switch_logit=torch.tensor(-2.0), log_scale=torch.tensor(0.0))
        >>> broad = dict(anomaly_loc=torch.tensor(0.0), anomaly_scale=torch.tensor(30.0))
        >>> nbam_regression_loss(torch.zeros(2), y, **settings, **broad) < 10.0
        tensor(True)
    """
    target = checked_targets(prediction, target)
    if target.numel():
        scatter = robust_scatter(target) if target.numel() >= _ENOUGH else 0.0
        # Where the scatter is unknown, numbers may lie as far apart as the noise scale.
        scatter = scatter or 100 * float(log_scale.detach().max().exp())
        check_resolution(prediction, target, needed_spacing(target, scatter))
    pair = regression_pair(
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
    r"""Loss for training with wrong measurements; a replacement for `torch.nn.HuberLoss`.

    The value is that of `nbam_regression_loss`. The contamination rate pi and the noise scale sigma
    are parameters of the loss: give them to the optimiser together with those of the network. The
    log prior of the rate, minus its maximum, is divided equally among the elements.

    Use it in three steps. Train the network for a few epochs; call `start_from`; continue. Before
    `start_from` the loss is the absolute error, which is robust to outliers and does not depend on
    a scale. Targets that are verified as contaminated are left out of it. `start_from` estimates
    rate and scales from the residuals.

    Targets may have any offset and scale that their type can represent. Targets that vary by 1
    around 1e9, for instance, need predictions and targets in double precision, or a constant that
    is subtracted from the targets; in single precision they raise a `DataError`. If the targets
    given to `start_from` are in double precision, the parameters of the loss are converted to
    double precision.

    Shape: prediction and target have any common shape. The output is a scalar, or has that shape
    for "none".

    Args:
        prior: Beta pseudo-counts (a, b) of the contamination rate.
        breadth: Scale S of the anomaly likelihood in standard deviations of the targets, at least
            1.
        reduction: "mean", "sum" or "none", as in torch.

    Raises:
        DataError: A pseudo-count is not positive and finite, the breadth is not finite or below 1,
            or the reduction is unknown.

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
    spacing: Tensor

    def __init__(
        self,
        *,
        prior: tuple[float, float] = (1.0, 9.0),
        breadth: float = 3.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        if not all(0 < count < math.inf for count in prior) or not 1 <= breadth < math.inf:
            raise DataError(
                f"prior is {prior} and breadth is {breadth}; the pseudo-counts of the prior must "
                "be positive and finite, and breadth must be finite and at least 1."
            )
        self.prior = prior
        self.breadth = breadth
        self.reduction = known_reduction(reduction)
        self.switch_logit = nn.Parameter(torch.tensor(0.0))
        self.log_scale = nn.Parameter(torch.tensor(0.0))
        self.register_buffer("anomaly_loc", torch.tensor(0.0))
        self.register_buffer("anomaly_scale", torch.tensor(1.0))
        # Largest relative spacing of numbers that is fine enough for the targets of start_from.
        self.register_buffer("spacing", torch.tensor(1.0))
        self.register_buffer("num_data", torch.tensor(0))
        self.register_load_state_dict_pre_hook(adopt_saved_precision)
        self._movement = Movement()

    def forward(
        self, prediction: Tensor, target: Tensor, *, contaminated: Tensor | None = None
    ) -> Tensor:
        """Return the loss of a batch; arguments and errors as in `nbam_regression_loss`."""
        target = checked_targets(prediction, target)
        if not self.num_data:
            return self._absolute_error(prediction, target, contaminated)
        if self.training and torch.is_grad_enabled():
            self._movement.check(self.parameters(), prediction)
        share = rate_penalty(self.switch_logit, self.prior) / self.num_data
        pair = self._pair(prediction, target, contaminated)
        return reduce(-nf.log_marginal(*pair) + share, self.reduction)

    @torch.no_grad()
    def start_from(
        self, prediction: Tensor, target: Tensor, *, contaminated: Tensor | None = None
    ) -> None:
        """Estimate scale, rate and anomalies from residuals; call it after some warm-up epochs.

        Args:
            prediction: Predictions for the training rows in evaluation mode.
            target: Measurements, in the same shape.
            contaminated: Verified switches, as in `forward`. Targets that are verified as
                contaminated are not used for the noise scale.

        Raises:
            DataError: Fewer than two targets are not verified as contaminated, all targets are
                equal, a number is not finite, shapes do not agree, or the type of prediction or
                target is too coarse (as in `nbam_regression_loss`).
        """
        target = checked_targets(prediction, target)
        counted = counted_targets(target, contaminated)
        if counted.sum() < 2 or not (target != target.flatten()[0]).any():
            raise DataError(
                f"start_from needs at least two rows with different targets in {target.dtype}. "
                "Pass double precision if the targets differ by little."
            )
        needed = needed_spacing(target, robust_scatter(target))
        check_resolution(prediction, target, needed)
        # In half precision the sum of a few thousand numbers is wrong.
        precise = torch.promote_types(target.dtype, torch.float32)
        prediction, target = prediction.to(precise), target.to(precise)
        residual = (target - prediction).abs()[counted]
        # 1.4826 median absolute deviations estimate the standard deviation of a Normal, and a
        # minority of outliers does not change them.
        scale = (1.4826 * residual.median()).clamp_min(1e-3 * robust_scatter(target))
        wrong = (residual > 3 * scale).sum() + (~counted).sum()
        share = (wrong / target.numel()).clamp(0.01, 0.5)
        broad = self.breadth * target.std()
        check_finite(
            broad,
            "the standard deviation of the targets",
            largest=LARGEST,
            mend="rescale the targets",
        )
        adopt_precision(self, target)
        self.log_scale.copy_(scale.log())
        self.switch_logit.copy_(share.logit())
        self.anomaly_loc.copy_(target.mean())
        self.anomaly_scale.copy_(broad)
        self.spacing.fill_(needed)
        self.num_data.fill_(target.numel())
        self._movement = Movement()

    @torch.no_grad()
    def responsibility(
        self, prediction: Tensor, target: Tensor, *, contaminated: Tensor | None = None
    ) -> Tensor:
        """Return the probability that each target is contaminated, P(z=1 | x, y).

        Returns:
            Probabilities in the shape of target.

        Raises:
            DataError: `start_from` has not been called, or the data are invalid, as in `forward`.
        """
        target = checked_targets(prediction, target)
        if not self.num_data:
            raise DataError("The loss is still the absolute error. Call start_from first.")
        return nf.responsibility(*self._pair(prediction, target, contaminated))

    def _absolute_error(
        self, prediction: Tensor, target: Tensor, contaminated: Tensor | None
    ) -> Tensor:
        if contaminated is None:
            return reduce(F.l1_loss(prediction, target, reduction="none"), self.reduction)
        counted = counted_targets(target, contaminated)
        values = F.l1_loss(prediction, target, reduction="none").where(counted, 0.0)
        # All targets of a batch may be verified as contaminated; their mean is defined as 0.
        number = counted.sum().clamp_min(1) if self.reduction == "mean" else 1
        return values if self.reduction == "none" else values.sum() / number

    def _pair(
        self, prediction: Tensor, target: Tensor, contaminated: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        check_resolution(prediction, target, float(self.spacing))
        return regression_pair(
            prediction,
            target,
            switch_logit=self.switch_logit,
            log_scale=self.log_scale,
            anomaly_loc=self.anomaly_loc,
            anomaly_scale=self.anomaly_scale,
            contaminated=contaminated,
        )
