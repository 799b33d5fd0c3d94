"""Anomaly likelihoods: what is observed where something went wrong.

Those of a measurement are broader than, or shifted from, any clean likelihood by construction: that
is what makes their switch mean contamination.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import pyro.distributions as dist
import torch
from pyro.distributions import TorchDistribution, constraints
from torch import Tensor, nn

from nbam_pyro.errors import DataError, StoryError
from nbam_pyro.models.centred import centred
from nbam_pyro.models.clean import LocationScale
from nbam_pyro.models.component import Component, check_classes, check_positive
from nbam_pyro.models.story import Latents


class UniformLabels(Component):
    """y ~ Uniform over K classes: a wrong label says nothing.

    Args:
        num_classes: K, at least 2.
        shape: of a target beyond its row, such as (L,) for L binary labels.

    Raises:
        DataError: fewer than two classes.

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
    r"""y ~ Normal(m, S), broad and centred on the data: a measurement gone wrong.

    Args:
        loc: m, in the units of y.
        scale: S, in the units of y; several standard deviations of y.

    Raises:
        DataError: the scale is not positive.

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
        """Centred on the targets y, `breadth` of their standard deviations wide."""
        y = y.double()
        return cls(y.mean().item(), breadth * y.std().item())

    def forward(self, h: Tensor, latents: Latents) -> TorchDistribution:
        unit = self.unit.expand(h.shape[:1])
        around = dist.Normal(torch.zeros_like(unit), self.scale * unit, validate_args=False)
        return centred(around, self.loc)


class BroadStudentT(Component):
    r"""y ~ StudentT(df, m, S): as `BroadNormal`, for errors that may be larger by orders.

    Args:
        loc: m, in the units of y.
        scale: S, in the units of y.
        df: degrees of freedom, positive; 1 is a Cauchy.

    Raises:
        DataError: scale or df is not positive.

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


class ShiftedComponent(Component, ABC):
    r"""A measurement around the clean location f(x) plus a learned shift, with a learned scale.

    A learned anomaly could shrink onto the clean likelihood and share its work. It is kept apart by
    construction: its scale is

    .. math:: \sqrt{S^2 + \max(0, (k \sigma)^2 - \delta^2)}

    so that it is shifted by k clean scales, or as wide as that, or something in between.
    """

    def __init__(
        self,
        clean: LocationScale,
        *,
        shift: float = 0.0,
        scale: float = 1.0,
        separation: float = 3.0,
    ) -> None:
        super().__init__()
        check_positive("scale", scale)
        check_positive("separation", separation)
        self.clean = clean
        self.shift = shift
        self.scale = scale
        self.separation = separation
        # In units of `scale`, so that an optimiser's steps mean the same for every y.
        self.relative_shift = nn.Parameter(torch.tensor(float(shift) / float(scale)))
        self.log_relative_scale = nn.Parameter(torch.zeros(()))

    one_sided = True

    def check_beside(self, clean: Component) -> None:
        if self.clean is not clean:
            raise StoryError(
                "A shifted anomaly likelihood must be shifted from the story's own clean "
                "likelihood: give both the same module."
            )

    def start_from(self, *, shift: Tensor, width: Tensor) -> None:
        self.relative_shift.copy_(shift / self.scale)
        self.log_relative_scale.copy_((width / self.scale).log())

    @property
    def delta(self) -> Tensor:
        """The shift, in the units of y."""
        return self.scale * self.relative_shift

    def forward(self, h: Tensor, latents: Latents) -> TorchDistribution:
        location, sigma = self.clean.deviation_and_scale(h)
        apart = (self.separation * sigma / self.scale) ** 2 - self.relative_shift**2
        scale = self.scale * ((2 * self.log_relative_scale).exp() + apart.clamp_min(0)).sqrt()
        return centred(self.around(location + self.delta, scale), self.clean.centre)

    @abstractmethod
    def around(self, loc: Tensor, scale: Tensor) -> TorchDistribution:
        """The family of y - centre, with location (N,) and scale, both in the units of y."""


class ShiftedNormal(ShiftedComponent):
    r"""y ~ Normal(f(h) + delta, S) with learned shift and scale: errors that lean to one side.

    A far error on the *other* side is not explained by it; `ShiftedStudentT` explains that too.

    Args:
        clean: the story's own clean likelihood (the same module).
        shift: where delta starts, in the units of y; its sign is the side.
        scale: where S starts, in the units of y.
        separation: k, how many clean scales it stays away from the clean likelihood, in shift or
            in width.

    Raises:
        DataError: scale or separation is not positive.

    Example:
        >>> from nbam_pyro.models import NormalLikelihood
        >>> clean = NormalLikelihood(nn.Linear(4, 1))
        >>> upwards = ShiftedNormal(clean, shift=5.0)
        >>> difference = upwards(torch.ones(1, 4), {}).mean - clean(torch.ones(1, 4), {}).mean
        >>> bool(torch.isclose(difference, torch.tensor(5.0)))
        True
    """

    def around(self, loc: Tensor, scale: Tensor) -> TorchDistribution:
        return dist.Normal(loc, scale, validate_args=False)


class ShiftedStudentT(ShiftedComponent):
    r"""y ~ StudentT(df, f(h) + delta, S) with learned shift and scale.

    Its tails are heavier than a Normal's on both sides, so that any far outlier counts as
    contaminated, wherever most errors lie.

    Args:
        clean: the story's own clean likelihood (the same module).
        shift: where delta starts, in the units of y.
        scale: where S starts, in the units of y.
        separation: k, how many clean scales it stays away from the clean likelihood, in shift or
            in width.
        df: degrees of freedom, positive.

    Raises:
        DataError: scale, separation or df is not positive.

    Example:
        >>> from nbam_pyro.models import NormalLikelihood
        >>> either = ShiftedStudentT(NormalLikelihood(nn.Linear(4, 1)), scale=4.0)
        >>> either(torch.ones(1, 4), {}).scale
        tensor([5.], grad_fn=<ExpandBackward0>)
    """

    def __init__(
        self,
        clean: LocationScale,
        *,
        shift: float = 0.0,
        scale: float = 1.0,
        separation: float = 3.0,
        df: float = 3.0,
    ) -> None:
        super().__init__(clean, shift=shift, scale=scale, separation=separation)
        check_positive("df", df)
        self.df = df

    def around(self, loc: Tensor, scale: Tensor) -> TorchDistribution:
        df = torch.full_like(loc, self.df, requires_grad=False)
        return dist.StudentT(df, loc, scale, validate_args=False)


class UniformRange(Component):
    """y ~ Uniform[low, high]: anything a broken sensor can show.

    A target outside the range cannot be fitted; when scored it counts as contaminated.

    Args:
        low: lower end, in the units of y.
        high: upper end, included.

    Raises:
        DataError: the range is empty.

    Example:
        >>> UniformRange(0.0, 10.0)(torch.zeros(1, 1), {}).log_prob(torch.tensor([10.0])).exp()
        tensor([0.1000])
    """

    unit: Tensor

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        if not low < high:
            raise DataError(f"The range [{low}, {high}] is empty.")
        self.low = low
        self.high = high
        self.register_buffer("unit", torch.ones(()))

    def forward(self, h: Tensor, latents: Latents) -> TorchDistribution:
        return _Range(self.low, self.high, self.unit.expand(h.shape[:1]))


class _Range(TorchDistribution):
    """Uniform between two plain numbers, both included in whatever precision y has.

    torch's own leaves its upper end out, and rounds both ends to the precision of a network.
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
    r"""y ~ Geometric-like count with mean m: a negative binomial of concentration 1.

    Args:
        mean: m, several times the counts that are usual.

    Raises:
        DataError: the mean is not positive.

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
