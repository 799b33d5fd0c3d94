"""`TwoPieceNormal`, a skewed Normal distribution with another scale on each side of its mode."""

import math
from typing import Any

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor

__all__ = ["TwoPieceNormal"]

_HALF_NORMAL = math.sqrt(2 / math.pi)  # mean of the absolute value of a standard Normal variable


class TwoPieceNormal(TorchDistribution):
    r"""Two halves of Normal distributions that meet at the mode, the most probable value.

    .. math::
        p(y) = \frac{2}{\sigma_1 + \sigma_2} \,
               \phi\Big(\frac{y - \mu}{\sigma_1}\Big) \text{ for } y < \mu, \quad
               \phi\Big(\frac{y - \mu}{\sigma_2}\Big) \text{ for } y \ge \mu, \qquad
        \sigma_1 = \sigma e^{-k}, \; \sigma_2 = \sigma e^{k}

    phi is the standard Normal density. With k > 0 the longer tail lies above the mode.

    Args:
        loc: Mode mu, (N,).
        scale: Geometric mean sigma of the two scales, () or (N,).
        skewness: Number k, ().

    Source: Fechner (1897); Wallis (2014), "The two-piece normal, binormal, or double Gaussian
        distribution".

    Example:
        >>> zero = torch.zeros(1)
        >>> TwoPieceNormal(zero, torch.ones(()), torch.tensor(0.0)).log_prob(zero)
        tensor([-0.9189])
    """

    arg_constraints: dict[str, Any] = {}  # noqa: RUF012 (torch's own declaration)
    support = torch.distributions.constraints.real

    def __init__(self, loc: Tensor, scale: Tensor, skewness: Tensor) -> None:
        self.loc, self.scale, self.skewness = loc, scale, skewness
        super().__init__(torch.broadcast_shapes(loc.shape, scale.shape), validate_args=False)

    @property
    def below(self) -> Tensor:
        """Scale of values below the mode."""
        return self.scale * (-self.skewness).exp()

    @property
    def above(self) -> Tensor:
        """Scale of values above the mode."""
        return self.scale * self.skewness.exp()

    @property
    def mean(self) -> Tensor:
        return self.loc + _HALF_NORMAL * (self.above - self.below)

    @property
    def variance(self) -> Tensor:
        apart = (1 - _HALF_NORMAL**2) * (self.above - self.below) ** 2
        return (apart + self.above * self.below).expand(self.batch_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        error = value - self.loc
        scaled = error / torch.where(error < 0, self.below, self.above)
        height = math.log(_HALF_NORMAL) - (self.below + self.above).log()
        return height - scaled**2 / 2

    def sample(self, sample_shape: Any = ()) -> Tensor:
        shape = torch.Size(sample_shape) + self.batch_shape
        with torch.no_grad():
            is_above = torch.rand(shape).to(self.loc) < self.above / (self.below + self.above)
            away = torch.randn(shape).to(self.loc).abs()
            return self.loc + torch.where(is_above, self.above * away, -self.below * away)

    def expand(self, batch_shape: Any, _instance: Any = None) -> "TwoPieceNormal":
        return TwoPieceNormal(self.loc.expand(batch_shape), self.scale, self.skewness)
