"""`linear_regression`, the default story of a table of measurements that a line can explain."""

import math
from typing import Literal

from torch import Tensor, nn

from nbam_pyro.models.fourier import FourierFeatures
from nbam_pyro.models.likelihoods.component import Component
from nbam_pyro.models.likelihoods.linear_errors import LinearErrors
from nbam_pyro.models.likelihoods.linear_noise import LinearNormal, LinearSkewed, LinearStudentT
from nbam_pyro.models.priors.leverage import LeverageSwitch
from nbam_pyro.models.priors.pseudo_counts import Beta
from nbam_pyro.models.splines import Splines
from nbam_pyro.models.standardise import Standardise
from nbam_pyro.models.stories.latent_switch import LatentSwitch
from nbam_pyro.models.stories.robust_regression import Noise, check_noise, middle_and_scale

__all__ = ["linear_regression"]

# Prior scale of weights and intercept, and prior median of the noise, in units of the scale of y.
_WEIGHTS, _NOISE = 5.0, 0.3
# Standard deviation of a Gaussian process in units of that of the weights, and its largest number
# of waves.
_AMPLITUDE, _WAVES = 0.3, 40
# Clean likelihood for each kind of noise.
_CLEAN = {"normal": LinearNormal, "student-t": LinearStudentT, "skewed": LinearSkewed}


def linear_regression(
    x: Tensor,
    y: Tensor,
    *,
    mean: Literal["linear", "spline", "gp"] = "linear",
    noise: Noise = "normal",
    rate: Beta | None = None,
    anomaly: Component | None = None,
) -> LatentSwitch:
    r"""Return a story for measurements of which some are wrong, with a line or a smooth mean.

    It is a `LatentSwitch` in which every number has a prior, so that `fit` finds all modes of the
    posterior and their probabilities:

    .. math::
        y_i \mid z_i = 0 \sim N(m + b + w \cdot h_i, \, \sigma e^{g \cdot h_i}), \qquad
        y_i \mid z_i = 1 \sim \mathrm{StudentT}_3(m + b + w \cdot h_i \pm \delta, S)

    The switch z_i is 1 where a target is contaminated. w are the weights of the columns, m + b is
    the intercept, and sigma is the noise of clean rows. Errors have the scale S and lie at a
    distance of about delta on one or both sides of the mean (`LinearErrors`), and the noise of
    clean rows may depend on the columns of x (`LinearNormal`). h are the standardised columns of x.
    For "spline" h also has smooth curves of each column (`Splines`), and for "gp" waves of all
    columns together (`FourierFeatures`). m is the median of y. The switch prior is a
    `LeverageSwitch`. All scales of priors are in units of the median absolute deviation of y.

    Args:
        x: Rows of a table, (N, D).
        y: Observed targets, (N,).
        mean: "linear" for a line, "spline" for a sum of smooth curves of the columns, "gp" for an
            approximate Gaussian process of all columns.
        noise: Noise of clean measurements: "normal", "student-t" for heavy tails (`LinearStudentT`
            with four degrees of freedom), or "skewed" (`LinearSkewed`).
        rate: Pseudo-counts of a Beta prior on the contamination of usual rows. None means that this
            contamination is at most one half, and that twice the contamination has a Beta(1, 2)
            prior.
        anomaly: Anomaly likelihood, the distribution of contaminated targets; None for
            `LinearErrors`.

    Raises:
        DataError: All targets have the same value, or their scale is above 1e12 or below 1e-12, or
            they lie so far from 0 that double precision has lost their last digits; or `noise` is
            none of the three texts.

    Example:
        >>> import torch
        >>> x = torch.linspace(0, 1, 40)[:, None]
        >>> story = linear_regression(x, 2 * x[:, 0])
        >>> sorted(story.priors())
        ['bias', 'contamination', 'error_scale', 'leverage_effect', 'noise', 'noise_slope',
         'other_side', 'shift', 'weight']
    """
    check_noise(noise)
    centre, scale = middle_and_scale(y)
    trunk: nn.Module = Standardise.of(x)
    h = trunk(x)
    columns = h.shape[1]
    if mean != "linear":
        curves = Splines.of(h) if mean == "spline" else _waves(h)
        trunk, columns = nn.Sequential(trunk, curves), curves.outputs
    clean = _CLEAN[noise](
        columns, scale=_WEIGHTS * scale, centre=centre, noise=_NOISE * scale, uneven=h.shape[1]
    )
    return LatentSwitch(
        switch=LeverageSwitch.of(h, rate=rate),
        clean=clean,
        anomaly=anomaly or LinearErrors(clean, scale=scale),
        trunk=trunk,
    )


def _waves(h: Tensor) -> FourierFeatures:
    """Return the waves for standardised columns h, (N, D)."""
    waves = min(_WAVES, max(5, len(h) // 4))
    length = math.sqrt(h.shape[1])  # distances of rows grow with the number of columns
    layer = FourierFeatures(h.shape[1], waves=waves, length=length, amplitude=_AMPLITUDE)
    return layer.to(h.dtype)
