"""`LinearLikelihood`, the base class of linear clean likelihoods with a posterior."""

import math
from abc import ABC, abstractmethod

import pyro.distributions as dist
import torch
from pyro.distributions import TorchDistribution
from torch import Tensor

from nbam_pyro.errors import DataError
from nbam_pyro.models.latents import Latents
from nbam_pyro.models.likelihoods.centred import centred
from nbam_pyro.models.likelihoods.component import Component, check_positive, check_whole
from nbam_pyro.models.likelihoods.elemental import elemental_lines

__all__ = ["LinearLikelihood"]

# Prior standard deviation of log sigma.
_NOISE_SPREAD = 1.5
# Prior standard deviation of the slopes of log sigma, and largest features that count for it.
_SLOPE_SPREAD, _CUT = 0.15, 2.0
# Smallest standard deviation of clean measurements, as a share of `scale`: no line is exact.
_LEAST = 1e-6
# Shares of clean rows that starting values of the noise are computed for.
_CLEAN = (0.5, 0.65, 0.8, 0.95)


class LinearLikelihood(Component, ABC):
    r"""Base class of linear clean likelihoods whose numbers all have a posterior.

    .. math::
        w_j \sim N(0, s), \qquad b \sim N(0, s), \qquad \log \sigma \sim N(\log s_0, 1.5)

    The location of a row is m + b + w . h. The global latents are the sites "weight" (D,), which
    are the weights w of the columns, "bias" (), which is b, and "noise" (), which is the scale
    sigma. The square of 1e-6 times `scale` is added to sigma^2, so that the likelihood of an exact
    line is finite.

    With `uneven` columns the noise depends on h: sigma is multiplied by

    .. math:: \exp(g \cdot c(h)), \qquad g_j \sim N(0, 0.15),

    where c(h) are the first `uneven` columns, cut at -2 and 2. The site "noise_slope" is g.

    To use another family of distributions, derive a class and write `around`.

    Args:
        features: Number D of columns of h.
        scale: Standard deviation s of the priors of w and b, in the units of y. Several times the
            expected values are a good choice.
        centre: A number m near the measurements, in the units of y. The intercept is m + b.
        noise: Prior median s_0 of sigma, in the units of y; None for scale / 15.
        uneven: Number of columns that the noise depends on. These are the first columns of h, and
            they must be standardised. 0 for the same noise in all rows.

    Raises:
        DataError: The number of features, the scale or the noise is not positive, or `uneven` is
            not between 0 and the number of features.
    """

    zero: Tensor

    def __init__(
        self,
        features: int,
        *,
        scale: float = 10.0,
        centre: float = 0.0,
        noise: float | None = None,
        uneven: int = 0,
    ) -> None:
        super().__init__()
        check_positive("features", features)
        check_positive("scale", scale)
        if noise is not None:
            check_positive("noise", noise)
        self.features = features
        self.scale = scale
        self.centre = centre
        self.noise = noise
        check_whole("uneven", uneven, least=0)
        if uneven > features:
            raise DataError(f"uneven is {uneven}; it must be between 0 and features ({features}).")
        self.uneven = uneven
        self.register_buffer("zero", torch.zeros(()))

    def priors(self) -> dict[str, TorchDistribution]:
        scale = self.zero + self.scale
        weight = dist.Normal(self.zero.expand(self.features), scale, validate_args=False)
        noise = self.zero + math.log(self.noise or self.scale / 15)
        priors: dict[str, TorchDistribution] = {
            "weight": weight.to_event(1),
            "bias": dist.Normal(self.zero, scale, validate_args=False),
            "noise": dist.LogNormal(noise, _NOISE_SPREAD, validate_args=False),
        }
        if self.uneven:
            slopes = self.zero.expand(self.uneven)
            priors["noise_slope"] = dist.Normal(
                slopes, self.zero + _SLOPE_SPREAD, validate_args=False
            ).to_event(1)
        return priors

    def forward(self, h: Tensor, latents: Latents) -> TorchDistribution:
        location = h @ latents["weight"] + latents["bias"]
        return centred(self.around(location, self.deviation(h, latents), latents), self.centre)

    @abstractmethod
    def around(self, loc: Tensor, scale: Tensor, latents: Latents) -> TorchDistribution:
        """Return the distribution of y - m.

        Args:
            loc: Location minus m, (N,), in the units of y.
            scale: Scale of the distribution, () or (N,), in the units of y.
            latents: Values of the global latents by site name.
        """

    def deviation(self, h: Tensor, latents: Latents) -> Tensor:
        """Return the scale of clean measurements, () or (N,), in the units of y.

        Args:
            h: Features of the rows, (N, D).
            latents: Values of the global latents by site name.
        """
        noise = latents["noise"]
        if self.uneven:
            columns = h[:, : self.uneven].clamp(-_CUT, _CUT)
            noise = noise * (columns @ latents["noise_slope"]).exp()
        return torch.hypot(noise, self.zero + self.least)

    @property
    def least(self) -> float:
        """Smallest standard deviation of measurements, in the units of y: no line is exact."""
        return _LEAST * self.scale

    @property
    def target_centre(self) -> float:
        return self.centre

    def starts(self, h: Tensor, y: Tensor, *, seed: int) -> list[Latents]:
        """Return lines through random subsets of the rows, each with several values of the noise.

        Args:
            h: Features of the rows, (N, D).
            y: Observed targets, (N,).
            seed: Seed of the subsets.

        Source: The subsets and their refinement are those of FAST-LTS, Rousseeuw & Van Driessen
            (2006).
        """
        targets = (y.double() - self.centre).to(h.dtype)
        lines = elemental_lines(h, targets, seed=seed)
        residual = (targets - lines[:, :-1] @ h.mT - lines[:, -1:]).abs()
        least = 1e-3 * self.scale / 15
        even = {"noise_slope": self.zero.expand(self.uneven).to(h)} if self.uneven else {}
        found: list[Latents] = []
        for share in _CLEAN:
            within = residual.quantile(share, dim=1) / _normal_quantile((1 + share) / 2)
            for line, noise in zip(lines, within.clamp_min(least), strict=True):
                found.append({"weight": line[:-1], "bias": line[-1], "noise": noise, **even})
        return found


def _normal_quantile(probability: float) -> float:
    """Return the quantile of the standard Normal distribution."""
    return math.sqrt(2) * float(torch.erfinv(torch.tensor(2 * probability - 1)))
