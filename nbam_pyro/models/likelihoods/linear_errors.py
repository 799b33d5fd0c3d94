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
from nbam_pyro.models.likelihoods.linear import LinearNormal

__all__ = ["LinearErrors"]

# Prior standard deviation of the shift in units of `scale`, and of log S.
_SHIFT_SPREAD, _SCALE_SPREAD = 5.0, 1.5
# Median absolute deviation of a Normal distribution with standard deviation 1.
_NORMAL = 1.4826


class LinearErrors(Component):
    r"""y ~ StudentT(df, f(h) + delta, S): errors around a line, with a posterior of delta and S.

    .. math:: \delta \sim N(0, 5 s), \qquad \log S \sim N(\log s, 1.5)

    f is the clean line of a `LinearNormal`, and s is the argument `scale`. The global latents are
    the sites "shift" (), which is delta, and "error_scale" (), which is S. As in
    `ShiftedComponent`, the scale of the distribution is

    .. math:: \sqrt{S^2 + \max(0, (k \sigma)^2 - \delta^2)}.

    So it cannot become equal to the clean likelihood. It can be narrower only where it is shifted
    by k clean scales: wrong rows may be more alike than clean ones.

    Args:
        clean: Clean likelihood of the same story (the same module, not a copy).
        scale: Prior median s of S, in the units of y. The scale of all measurements is a good
            choice.
        separation: Number k: the anomaly likelihood is shifted by at least k clean scales, or
            its scale is at least k clean scales, or something in between.
        df: Degrees of freedom, positive.

    Raises:
        DataError: The scale, the separation or df is not positive.

    Example:
        >>> errors = LinearErrors(LinearNormal(2), scale=4.0)
        >>> sorted(errors.priors())
        ['error_scale', 'shift']
    """

    zero: Tensor

    def __init__(
        self, clean: LinearNormal, *, scale: float = 1.0, separation: float = 3.0, df: float = 3.0
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
        }

    def forward(self, h: Tensor, latents: Latents) -> TorchDistribution:
        line = h @ latents["weight"] + latents["bias"]
        shift, wide = latents["shift"], latents["error_scale"]
        clean = self.clean.deviation(latents) ** 2
        apart = (self.separation**2 * clean - shift**2).clamp_min(0)
        scale = (wide**2 + self.clean.least**2 + apart).sqrt()
        df = torch.full_like(line, self.df, requires_grad=False)
        base = dist.StudentT(df, line + shift, scale, validate_args=False)
        return centred(base, self.clean.centre)

    def starts_beside(self, residual: Tensor, wrong: Tensor, noise: Tensor) -> list[Latents]:
        if wrong.sum() < 2:
            return [{"shift": self.zero.to(residual), "error_scale": 3 * noise}]
        errors = residual[wrong]
        middle = errors.median()
        one_side = (_NORMAL * (errors - middle).abs().median()).clamp_min(0.1 * noise)
        both = (_NORMAL * errors.abs().median()).clamp_min(noise)
        return [
            {"shift": middle, "error_scale": one_side},
            {"shift": self.zero.to(residual), "error_scale": both},
        ]
