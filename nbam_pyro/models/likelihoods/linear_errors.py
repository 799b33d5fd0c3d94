"""`LinearErrors`, an anomaly likelihood of measurements whose numbers all have a posterior."""

import math

import pyro.distributions as dist
import torch
from pyro.distributions import TorchDistribution
from torch import Tensor

from nbam_pyro.errors import StoryError
from nbam_pyro.models.latents import Latents
from nbam_pyro.models.likelihoods.centred import centred
from nbam_pyro.models.likelihoods.component import Component, check_positive
from nbam_pyro.models.likelihoods.linear import LinearLikelihood
from nbam_pyro.models.likelihoods.two_sided import TwoSided

__all__ = ["LinearErrors"]

# Prior standard deviation of the shift in units of `scale`, and of log S.
_SHIFT_SPREAD, _SCALE_SPREAD = 5.0, 1.5
# Median absolute deviation of a Normal distribution with standard deviation 1.
_NORMAL = 1.4826


class LinearErrors(Component):
    r"""Errors on one or both sides of a line, whose distance and scale have a posterior.

    .. math::
        y \sim (1 - q) \, \mathrm{StudentT}(df, f(h) + \delta, S)
            + q \, \mathrm{StudentT}(df, f(h) - \delta, S), \\
        \delta \sim N(0, 5 s), \qquad \log S \sim N(\log s, 1.5), \qquad
        q \sim \mathrm{Uniform}(0, 1/2)

    f is the clean line of a `LinearLikelihood`, sigma is its scale, s is the argument `scale`, and
    k is the argument `separation`. The global latents are the sites "shift" (), which is delta,
    "error_scale" (), which is S, and "other_side" (), which is q. If gross errors lie on both sides
    and none lies near the line, delta is their typical size. As in `ShiftedComponent`, the scale of
    the distribution is

    .. math:: \sqrt{S^2 + \max(0, (k \sigma)^2 - \delta^2)}

    with a smooth maximum.

    The anomaly likelihood therefore cannot become equal to the clean likelihood. It can be narrower
    than the clean likelihood only if it is shifted by at least k clean scales.

    Args:
        clean: Clean likelihood of the same story (the same module, not a copy).
        scale: Prior median s of S, in the units of y. The scale of all measurements is a good
            choice.
        separation: Number k of clean scales by which the anomaly likelihood differs from the clean
            likelihood. The squared shift and the squared scale of the anomaly likelihood add up to
            at least (k sigma)^2.
        df: Degrees of freedom, positive.

    Raises:
        DataError: The scale, the separation or df is not positive.

    Example:
        >>> from nbam_pyro.models import LinearNormal
        >>> errors = LinearErrors(LinearNormal(2), scale=4.0)
        >>> sorted(errors.priors())
        ['error_scale', 'other_side', 'shift']
    """

    zero: Tensor

    def __init__(
        self,
        clean: LinearLikelihood,
        *,
        scale: float = 1.0,
        separation: float = 3.0,
        df: float = 3.0,
    ) -> None:
        super().__init__()
        check_positive("scale", scale)
        check_positive("separation", separation)
        check_positive("df", df)
        self.clean = clean
        self.scale = scale
        self.separation = separation
        self.df = df
        self.register_buffer("zero", torch.zeros(()))

    def check_beside(self, clean: Component) -> None:
        if self.clean is not clean:
            raise StoryError(
                "The anomaly likelihood belongs to the clean likelihood of another story: create "
                "it with the same module that the story takes as clean=."
            )

    def priors(self) -> dict[str, TorchDistribution]:
        spread, scale = _SHIFT_SPREAD * self.scale, self.zero + math.log(self.scale)
        return {
            "shift": dist.Normal(self.zero, self.zero + spread, validate_args=False),
            "error_scale": dist.LogNormal(scale, _SCALE_SPREAD, validate_args=False),
            "other_side": dist.Uniform(self.zero, self.zero + 0.5, validate_args=False),
        }

    def forward(self, h: Tensor, latents: Latents) -> TorchDistribution:
        line = h @ latents["weight"] + latents["bias"]
        shift, wide = latents["shift"], latents["error_scale"]
        clean = self.clean.deviation(h, latents) ** 2
        missing = self.separation**2 * clean - shift**2
        # A smooth maximum of this and 0, which is not below it: a kink would stop the search.
        apart = (missing + torch.hypot(missing, clean)) / 2
        scale = (wide**2 + self.clean.least**2 + apart).sqrt()
        return centred(
            TwoSided(self.df, line, shift, scale, latents["other_side"]), self.clean.centre
        )

    def starts_beside(self, residual: Tensor, wrong: Tensor, noise: Tensor) -> list[Latents]:
        if wrong.sum() < 2:
            return [self._start(self.zero.to(residual), 3 * noise, 0.25)]
        errors = residual[wrong]
        middle, size = errors.median(), errors.abs().median()
        one_side = _NORMAL * (errors - middle).abs().median()
        two_sides = _NORMAL * (errors.abs() - size).abs().median()
        below = float((errors < 0).double().mean())
        side = size if below <= 1 / 2 else -size
        return [
            self._start(middle, one_side.clamp_min(0.1 * noise), 0.05),
            self._start(side, two_sides.clamp_min(0.1 * noise), min(below, 1 - below)),
            self._start(self.zero.to(residual), (_NORMAL * size).clamp_min(noise), 0.25),
        ]

    def _start(self, shift: Tensor, scale: Tensor, other_side: float) -> Latents:
        inside = min(max(other_side, 0.02), 0.48)  # the ends have no free coordinate
        return {
            "shift": shift,
            "error_scale": scale,
            "other_side": self.zero.to(shift) + inside,
        }
