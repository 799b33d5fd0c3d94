"""Distributions of measurements far from 0 that do not lose digits by rounding."""

from typing import Any

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor

__all__ = ["Centred", "centred"]


class Centred(TorchDistribution):
    """The distribution of y, computed from a distribution of y - centre.

    `log_prob` subtracts the centre in the precision of y before it computes anything else.
    Measurements such as 1e9 + 0.1 therefore keep their digits, even where a network works in
    single precision.

    Args:
        base: Distribution of y - centre, with an attribute `loc`.
        centre: A number near the measurements, in the units of y.
    """

    arg_constraints: dict[str, Any] = {}  # noqa: RUF012 (torch's own declaration)

    def __init__(self, base: TorchDistribution, centre: float) -> None:
        self.base = base
        self.centre = centre
        super().__init__(base.batch_shape, base.event_shape, validate_args=False)

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        return bool(self.base.has_rsample)

    @property
    def support(self) -> Any:
        return self.base.support

    @property
    def mean(self) -> Tensor:
        return self.base.mean.double() + self.centre

    @property
    def variance(self) -> Tensor:
        return self.base.variance

    def log_prob(self, value: Tensor) -> Tensor:
        return self.base.log_prob((value - self.centre).to(self.base.loc.dtype))

    def sample(self, sample_shape: Any = ()) -> Tensor:
        return self.base.sample(torch.Size(sample_shape)).double() + self.centre

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return self.base.rsample(torch.Size(sample_shape)).double() + self.centre

    def expand(self, batch_shape: Any, _instance: Any = None) -> "Centred":
        return Centred(self.base.expand(batch_shape), self.centre)


def centred(base: TorchDistribution, centre: float) -> TorchDistribution:
    """Return the distribution of y, given a distribution of y - centre.

    Args:
        base: Distribution of y - centre. It has all real numbers as its support and an attribute
            `loc`, as a Normal distribution has.
        centre: A number near the measurements, in the units of y. If it is 0, the function returns
            `base` unchanged.

    Example:
        >>> import pyro.distributions as dist
        >>> far = centred(dist.Normal(torch.zeros(1), torch.ones(1)), 1e9)
        >>> far.log_prob(torch.tensor([1e9 + 1], dtype=torch.float64))
        tensor([-1.4189])
    """
    return base if centre == 0 else Centred(base, centre)
