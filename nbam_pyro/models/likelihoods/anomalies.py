"""Anomaly likelihoods: distributions of contaminated targets.

The anomaly likelihoods of measurements are broader than the clean likelihood by construction. This
difference is the reason why the switch means contamination.
"""

import math
from collections.abc import Sequence
from typing import Any

import pyro.distributions as dist
import torch
from pyro.distributions import TorchDistribution, constraints
from torch import Tensor

from nbam_pyro.errors import DataError
from nbam_pyro.models.latents import Latents
from nbam_pyro.models.likelihoods.centred import centred
from nbam_pyro.models.likelihoods.component import Component, check_classes, check_positive


class UniformLabels(Component):
    """y ~ Uniform over K classes: a contaminated label contains no information.

    It is an anomaly likelihood, the distribution of contaminated targets, for labels.

    Args:
        num_classes: Number of classes K, at least 2.
        shape: Shape of the target of one row, such as (L,) for L binary labels; () for one label.

    Raises:
        DataError: There are fewer than two classes.

    Example:
        >>> UniformLabels(4)(torch.zeros(1, 2), {}).probs
        tensor([[0.2500, 0.2500, 0.2500, 0.2500]])
    """

    logits: Tensor

    def __init__(self, num_classes: int, *, shape: Sequence[int] = ()) -> None:
        super().__init__()
        check_classes(num_classes)
        self.num_classes = num_classes
        self.shape = tuple(shape)
        self.register_buffer("logits", torch.zeros(num_classes))

    def forward(self, h: Tensor, latents: Latents) -> TorchDistribution:
        logits = self.logits.expand(len(h), *self.shape, -1)
        return dist.Categorical(logits=logits, validate_args=False)


class BroadNormal(Component):
    r"""y ~ Normal(m, S): a broad Normal distribution for contaminated measurements.

    It does not depend on x. `BroadNormal.of(y)` chooses location and scale from the targets.

    Args:
        loc: Location m of the distribution, in the units of y.
        scale: Standard deviation S, in the units of y. Several standard deviations of y are a good
            choice.

    Raises:
        DataError: The scale is not positive.

    Example:
        >>> broad = BroadNormal.of(torch.tensor([0.0, 2.0, 4.0]))
        >>> broad.loc, broad.scale
        (2.0, 6.0)
    """

    unit: Tensor

    def __init__(self, loc: float, scale: float) -> None:
        super().__init__()
        check_positive("scale", scale)
        self.loc = loc
        self.scale = scale
        self.register_buffer("unit", torch.ones(()))

    @classmethod
    def of(cls, y: Tensor, *, breadth: float = 3.0) -> "BroadNormal":
        """Return a `BroadNormal` around the mean of the targets.

        Args:
            y: Observed targets, (N,).
            breadth: Scale S as a multiple of the standard deviation of the targets.
        """
        y = y.double()
        return cls(y.mean().item(), breadth * y.std().item())

    def forward(self, h: Tensor, latents: Latents) -> TorchDistribution:
        unit = self.unit.expand(h.shape[:1])
        around = dist.Normal(torch.zeros_like(unit), self.scale * unit, validate_args=False)
        return centred(around, self.loc)


class BroadStudentT(Component):
    r"""y ~ StudentT(df, m, S): a broad Student-t distribution for contaminated measurements.

    Use it in place of `BroadNormal` where errors may be larger than S by orders of magnitude.

    Args:
        loc: Location m of the distribution, in the units of y.
        scale: Scale S of the distribution, in the units of y.
        df: Degrees of freedom, positive. 1 is a Cauchy distribution.

    Raises:
        DataError: The scale or df is not positive.

    Example:
        >>> wide = BroadStudentT(0.0, 1.0)(torch.zeros(1, 1), {})
        >>> bool(wide.log_prob(torch.tensor(1e6)) > -50)  # a Normal has -5e11
        True
    """

    unit: Tensor

    def __init__(self, loc: float, scale: float, *, df: float = 2.0) -> None:
        super().__init__()
        check_positive("scale", scale)
        check_positive("df", df)
        self.loc = loc
        self.scale = scale
        self.df = df
        self.register_buffer("unit", torch.ones(()))

    def forward(self, h: Tensor, latents: Latents) -> TorchDistribution:
        unit = self.unit.expand(h.shape[:1])
        around = dist.StudentT(
            self.df * unit, torch.zeros_like(unit), self.scale * unit, validate_args=False
        )
        return centred(around, self.loc)


class UniformRange(Component):
    """y ~ Uniform[low, high]: a contaminated measurement may be any value in the range.

    A broken sensor, for instance, may show every value of its range. If a target lies outside the
    range, `fit` raises a `SupportError`, and `responsibilities` returns 1 for the target
    (contaminated).

    Args:
        low: Lower end of the range, included, in the units of y.
        high: Upper end of the range, included, in the units of y.

    Raises:
        DataError: The lower end is not below the upper end.

    Example:
        >>> UniformRange(0.0, 10.0)(torch.zeros(1, 1), {}).log_prob(torch.tensor([10.0])).exp()
        tensor([0.1000])
    """

    unit: Tensor

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        if not low < high:
            raise DataError(f"The range [{low}, {high}] is empty: low must be below high.")
        self.low = low
        self.high = high
        self.register_buffer("unit", torch.ones(()))

    def forward(self, h: Tensor, latents: Latents) -> TorchDistribution:
        return _Range(self.low, self.high, self.unit.expand(h.shape[:1]))


class _Range(TorchDistribution):
    """The uniform distribution between two Python numbers, both ends included.

    torch's `Uniform` excludes its upper end, and it rounds both ends to the precision of a network.
    This class compares y with the ends in the precision of y.
    """

    arg_constraints: dict[str, Any] = {}  # noqa: RUF012 (torch's own declaration)
    has_rsample = False

    def __init__(self, low: float, high: float, unit: Tensor) -> None:
        self.low = low
        self.high = high
        self.unit = unit
        super().__init__(unit.shape, validate_args=False)

    @property
    def support(self) -> Any:
        return constraints.interval(self.low, self.high)

    @property
    def mean(self) -> Tensor:
        return (self.low + (self.high - self.low) / 2) * self.unit.double()

    def log_prob(self, value: Tensor) -> Tensor:
        density = -math.log(self.high - self.low) * self.unit
        return torch.where(self.support.check(value), density, -torch.inf)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(torch.Size(sample_shape))
        drawn = torch.rand(shape, dtype=torch.float64, device=self.unit.device)
        return self.low + (self.high - self.low) * drawn

    def expand(self, batch_shape: Any, _instance: Any = None) -> "_Range":
        return _Range(self.low, self.high, self.unit.expand(batch_shape))


class BroadCounts(Component):
    r"""y ~ Geometric with mean m: a broad distribution for contaminated counts.

    It is a negative binomial distribution with concentration 1 and variance m + m^2.

    Args:
        mean: Mean m. Several times the usual counts are a good choice.

    Raises:
        DataError: The mean is not positive.

    Example:
        >>> BroadCounts(20.0)(torch.zeros(1, 1), {}).mean
        tensor([20.])
    """

    log_mean: Tensor

    def __init__(self, mean: float) -> None:
        super().__init__()
        check_positive("mean", mean)
        self.mean = mean
        self.register_buffer("log_mean", torch.tensor(float(mean)).log())

    def forward(self, h: Tensor, latents: Latents) -> TorchDistribution:
        logits = self.log_mean.expand(h.shape[:1])
        return dist.NegativeBinomial(torch.ones_like(logits), logits=logits, validate_args=False)
