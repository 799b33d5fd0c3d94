"""The latent switch as a drop-in criterion of regression; use it through `nbam_pyro.losses`."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nbam_pyro import functional as nf
from nbam_pyro.checks.numbers import LARGEST, check_finite, first_place
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
from nbam_pyro.verified import Verified

__all__ = ["NBAMRegressionLoss", "nbam_regression_loss"]

# Fewer elements, which may be alike by chance, do not tell the scatter of all.
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
    r"""Negative log marginal of Normal measurements of which some are anomalies.

    .. math:: -\log\big( (1-\pi)\, N(y; f(x), \sigma) + \pi\, N(y; m, S) \big)

    Shape:
        - prediction, target: any common shape, in the units of the measurement
        - switch_logit, log_scale, anomaly_loc, anomaly_scale: broadcastable to it; logit of pi,
          log of sigma, m and S
        - contaminated: the shape of target, 1 where verified as contaminated, 0 as clean, -1 where
          unknown; the other term is left out of the sum there. None where nothing is verified
        - output: a scalar, or the shape of target for reduction "none"

    Raises:
        DataError: the shapes do not fit together, a number is not finite, a scale is not positive,
            an element is impossible under both likelihoods, or the numbers are too coarse: those of
            the type of prediction or target lie further apart, at the size of the targets, than a
            hundredth of the targets' robust scatter (of fewer than 20 or equal targets: than the
            scale of the noise).

    Example:
        >>> y = torch.tensor([0.1, 50.0])
        >>> settings = dict(switch_logit=torch.tensor(-2.0), log_scale=torch.tensor(0.0))
        >>> broad = dict(anomaly_loc=torch.tensor(0.0), anomaly_scale=torch.tensor(30.0))
        >>> nbam_regression_loss(torch.zeros(2), y, **settings, **broad) < 10.0
        tensor(True)
    """
    target = _checked(prediction, target)
    if target.numel():
        scatter = robust_scatter(target) if target.numel() >= _ENOUGH else 0.0
        # A few targets, or equal ones, do not tell; but numbers may not lie further apart than the
        # noise.
        scatter = scatter or 100 * float(log_scale.detach().max().exp())
        check_resolution(prediction, target, needed_spacing(target, scatter))
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
    units to choose and resists outliers; verified ones are left out of it. The log prior of the
    rate counts from its maximum.

    Any offset and scale of the targets will do as long as the numbers resolve them: targets that
    vary by 1 around 1e9 need predictions and targets in double precision, or a constant subtracted
    from the targets. Others are refused. Targets in double precision at `start_from` put the loss's
    parameters into it.

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
                f"prior is {prior} and breadth {breadth}; pseudo-counts are positive and finite, "
                "and breadth is finite and at least 1."
            )
        self.prior = prior
        self.breadth = breadth
        self.reduction = known_reduction(reduction)
        self.switch_logit = nn.Parameter(torch.tensor(0.0))
        self.log_scale = nn.Parameter(torch.tensor(0.0))
        self.register_buffer("anomaly_loc", torch.tensor(0.0))
        self.register_buffer("anomaly_scale", torch.tensor(1.0))
        # The largest relative spacing of numbers that resolves the targets of start_from.
        self.register_buffer("spacing", torch.tensor(1.0))
        self.register_buffer("num_data", torch.tensor(0))
        self.register_load_state_dict_pre_hook(adopt_saved_precision)
        self._movement = Movement()

    def forward(
        self, prediction: Tensor, target: Tensor, *, contaminated: Tensor | None = None
    ) -> Tensor:
        """The loss of a batch; contaminated and errors as in `nbam_regression_loss`."""
        target = _checked(prediction, target)
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
        """Set scale, rate and the broad anomaly from the residuals of your own warm-up epochs.

        Args:
            prediction: predictions for the training rows in evaluation mode.
            target: measurements, the same shape.
            contaminated: as in `forward`; verified outliers tell nothing of the scale.

        Raises:
            DataError: fewer than two rows that are not verified as contaminated, all targets equal,
                a number is not finite, the shapes do not fit, or the numbers are too coarse for
                the targets: they lie further apart than a hundredth of the targets' robust scatter.
        """
        target = _checked(prediction, target)
        counted = _counted(target, contaminated)
        if counted.sum() < 2 or not (target != target.flatten()[0]).any():
            raise DataError(
                f"start_from needs at least two rows with different targets in {target.dtype}; "
                "pass double precision where they differ by little."
            )
        needed = needed_spacing(target, robust_scatter(target))
        check_resolution(prediction, target, needed)
        # In half precision sums of a few thousand rows no longer grow.
        precise = torch.promote_types(target.dtype, torch.float32)
        prediction, target = prediction.to(precise), target.to(precise)
        residual = (target - prediction).abs()[counted]
        # 1.4826 MAD is the standard deviation of a Normal and ignores a minority of outliers.
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
        """P(z=1 | x, y) of every element, the shape of target.

        Raises:
            DataError: `start_from` has not been called, or as in `forward`.
        """
        target = _checked(prediction, target)
        if not self.num_data:
            raise DataError("The loss is still the absolute error: call start_from first.")
        return nf.responsibility(*self._pair(prediction, target, contaminated))

    def _absolute_error(
        self, prediction: Tensor, target: Tensor, contaminated: Tensor | None
    ) -> Tensor:
        if contaminated is None:
            return reduce(F.l1_loss(prediction, target, reduction="none"), self.reduction)
        counted = _counted(target, contaminated)
        values = F.l1_loss(prediction, target, reduction="none").where(counted, 0.0)
        # A batch may consist of nothing but outliers, of which no mean can be taken.
        number = counted.sum().clamp_min(1) if self.reduction == "mean" else 1
        return values if self.reduction == "none" else values.sum() / number

    def _pair(
        self, prediction: Tensor, target: Tensor, contaminated: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        check_resolution(prediction, target, float(self.spacing))
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
    settings = {
        "switch_logit": switch_logit,
        "log_scale": log_scale,
        "anomaly_loc": anomaly_loc,
        "anomaly_scale": anomaly_scale,
    }
    for name, values in settings.items():
        check_finite(values, name, largest=LARGEST, mend="look for a training that has diverged")
    if not (anomaly_scale > 0).all():
        raise DataError(f"anomaly_scale is {anomaly_scale.min().item()}; scales are positive.")
    clean = _normal_log_prob((target - prediction) / log_scale.exp(), log_scale)
    anomaly = _normal_log_prob((target - anomaly_loc) / anomaly_scale, anomaly_scale.log())
    a, b = nf.switch_log_joint(switch_logit, clean, anomaly)
    if contaminated is not None:
        verified = Verified.of(target, contaminated=contaminated)
        a, b = nf.observe_switch(a, b, verified.contaminated)
    # Negated, so that NaN fails.
    impossible = ~((a > -torch.inf) | (b > -torch.inf))
    if impossible.any():
        raise DataError(
            f"The target in {first_place(impossible)} is impossible under both likelihoods in "
            f"{a.dtype}: it lies too many scales away from its prediction and from anomaly_loc. "
            "Leave such rows out, or pass double precision."
        )
    return a, b


def _counted(target: Tensor, contaminated: Tensor | None) -> Tensor:
    return Verified.of(target, contaminated=contaminated).targets(target)[1]


def _normal_log_prob(standardised: Tensor, log_scale: Tensor) -> Tensor:
    return -0.5 * standardised.square() - log_scale - 0.5 * math.log(2 * math.pi)


def _checked(prediction: Tensor, target: Tensor) -> Tensor:
    """The target as floating-point numbers, once it is known to fit the prediction."""
    if prediction.shape != target.shape:
        raise DataError(
            f"prediction has shape {tuple(prediction.shape)}, target {tuple(target.shape)}; "
            "they must agree (broadcasting hides mistakes here)."
        )
    if not prediction.is_floating_point() or target.is_complex():
        raise DataError(
            f"prediction has type {prediction.dtype} and target {target.dtype}; expected "
            "floating-point predictions and real targets."
        )
    if not target.is_floating_point():
        # Single precision holds integers of two bytes, and not all of four.
        target = target.to(torch.float32 if target.element_size() <= 2 else torch.float64)
    check_finite(
        prediction,
        "prediction",
        largest=LARGEST,
        mend="look for a network that has diverged",
    )
    check_finite(target, "target", largest=LARGEST, mend="leave such rows out")
    return target
