"""`robust_regression`, the default story for measurements."""

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from nbam_pyro.checks.spacing import check_spacing
from nbam_pyro.errors import DataError
from nbam_pyro.models.likelihoods.clean_measurements import (
    NormalLikelihood,
    SkewedLikelihood,
    StudentTLikelihood,
)
from nbam_pyro.models.likelihoods.component import Component
from nbam_pyro.models.likelihoods.shifted import ShiftedStudentT
from nbam_pyro.models.networks import Rescale
from nbam_pyro.models.priors.switch import BetaSwitch
from nbam_pyro.models.stories.latent_switch import LatentSwitch

__all__ = ["Noise", "check_noise", "middle_and_scale", "robust_regression"]

Noise = Literal["normal", "student-t", "skewed"]
"""Kind of noise of clean measurements."""

# Clean likelihood for each kind of noise.
_CLEAN = {"normal": NormalLikelihood, "student-t": StudentTLikelihood, "skewed": SkewedLikelihood}


def robust_regression(
    network: nn.Module,
    y: Tensor,
    *,
    noise: Noise = "normal",
    switch: Component | None = None,
    anomaly: Component | None = None,
) -> LatentSwitch:
    r"""Return the default story for measurements of which some are wrong.

    It is a `LatentSwitch`: clean measurements have a Normal distribution, and contaminated ones
    (z = 1) a shifted distribution with heavy tails.

    .. math::
        \pi \sim \mathrm{Beta}(1, 4), \qquad z_i \sim \mathrm{Bernoulli}(\pi) \\
        y_i \mid z_i = 0 \sim N(f(x_i), \sigma), \qquad
        y_i \mid z_i = 1 \sim \mathrm{StudentT}_3(f(x_i) + \delta, S)

    The location f(x) is the median of y plus the network's first output times the median absolute
    deviation of y. Wrong measurements change these two numbers little. pi is the contamination.
    Training learns the noise sigma, the shift delta and the scale S.

    Args:
        network: Network that maps x to one output, (N, 1), or to two, (N, 2), where sigma depends
            on x.
        y: Observed targets, (N,).
        noise: Noise of clean measurements: "normal", "student-t" for heavy tails
            (`StudentTLikelihood`), or "skewed" (`SkewedLikelihood`).
        switch: Switch prior; None for the Beta prior above.
        anomaly: Anomaly likelihood, the distribution of contaminated targets; None for the shifted
            Student-t distribution above.

    Raises:
        DataError: All targets have the same value, or their scale is above 1e12 or below 1e-12, or
            they lie so far from 0 that double precision has lost their last digits; or `noise` is
            none of the three texts.

    Example:
        >>> story = robust_regression(nn.Linear(2, 1), torch.arange(9.0))
        >>> story.clean(torch.zeros(3, 2), {}).mean.shape
        torch.Size([3])
    """
    check_noise(noise)
    loc, scale = middle_and_scale(y)
    head = nn.Sequential(network, Rescale(0.0, scale))
    clean = _CLEAN[noise](head, scale=scale, centre=loc)
    return LatentSwitch(
        switch=switch or BetaSwitch(1.0, 4.0),
        clean=clean,
        anomaly=anomaly or ShiftedStudentT(clean, scale=scale),
    )


def check_noise(noise: str) -> None:
    """Raise a `DataError` if a kind of noise is unknown.

    Args:
        noise: Kind of noise.
    """
    if noise not in get_args(Noise):
        raise DataError(f"noise is {noise!r}. Give 'normal', 'student-t' or 'skewed'.")


def middle_and_scale(y: Tensor) -> tuple[float, float]:
    """Return the median of measurements and a robust standard deviation, in the units of y.

    Args:
        y: Observed targets, (N,).

    Raises:
        DataError: All targets have the same value, or their scale is above 1e12 or below 1e-12, or
            they lie so far from 0 that double precision has lost their last digits.
    """
    y = torch.as_tensor(y).double()
    check_spacing(y.numpy(), ["y"])
    loc = y.median()  # one of the values, so that differences from it are exact
    scale = 1.4826 * (y - loc).abs().median()
    if not scale > 0:
        scale = y.std()
    if not scale > 0:
        raise DataError(
            f"All targets have the value {float(loc):g}; a regression needs different targets."
        )
    if not 1e-12 < scale < 1e12:
        raise DataError(
            f"The targets have a scale of about {float(scale):.3g}, which must lie between 1e-12 "
            "and 1e12: convert them to other units."
        )
    return float(loc), float(scale)
