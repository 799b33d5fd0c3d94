"""`TwoSided`, the distribution of errors of one size on both sides of a location."""

import math
from typing import Any

import pyro.distributions as dist
import torch
from pyro.distributions import TorchDistribution
from torch import Tensor

__all__ = ["TwoSided"]


class TwoSided(TorchDistribution):
    """A mixture of two Student-t distributions at the same distance on both sides of a location.

    Args:
        df: Degrees of freedom.
        loc: Location, (N,).
        shift: Distance of the first part from the location, (). The second part lies at the same
            distance on the other side.
        scale: Scale of both parts, () or (N,).
        other: Weight of the second part in the mixture, ().
    """

    arg_constraints: dict[str, Any] = {}  # noqa: RUF012 (torch's own declaration)
    support = torch.distributions.constraints.real

    def __init__(self, df: float, loc: Tensor, shift: Tensor, scale: Tensor, other: Tensor) -> None:
        self.df, self.loc, self.shift, self.scale, self.other = df, loc, shift, scale, other
        super().__init__(loc.shape, validate_args=False)

    @property
    def mean(self) -> Tensor:
        return self.loc + (1 - 2 * self.other) * self.shift

    @property
    def variance(self) -> Tensor:
        within = self.scale**2 * (self.df / (self.df - 2) if self.df > 2 else math.inf)
        return (within + 4 * self.other * (1 - self.other) * self.shift**2).expand(self.loc.shape)

    def log_prob(self, value: Tensor) -> Tensor:
        error = value - self.loc
        parts = torch.stack(
            [
                (-self.other).log1p() + self._part(error - self.shift),
                self.other.log() + self._part(error + self.shift),
            ]
        )
        return parts.logsumexp(0)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        shape = torch.Size(sample_shape) + self.batch_shape
        with torch.no_grad():
            side = torch.where(torch.rand(shape).to(self.loc) < self.other, -1.0, 1.0)
            away = dist.StudentT(self.df, torch.zeros_like(self.loc).expand(shape)).sample()
            return self.loc + side * self.shift + self.scale * away

    def expand(self, batch_shape: Any, _instance: Any = None) -> "TwoSided":
        loc = self.loc.expand(batch_shape)
        return TwoSided(self.df, loc, self.shift, self.scale, self.other)

    def _part(self, away: Tensor) -> Tensor:
        df = torch.full_like(away, self.df, requires_grad=False)
        return dist.StudentT(df, 0.0, self.scale, validate_args=False).log_prob(away)
