"""Likelihoods of the target, clean or anomalous."""

import pyro.distributions as dist
import torch
from pyro.distributions import TorchDistribution
from torch import Tensor, nn

from nbam_pyro.errors import DataError
from nbam_pyro.models.component import Component
from nbam_pyro.models.story import Latents


class CategoricalLikelihood(Component):
    r"""y ~ Categorical(softmax(head(h))): a clean classifier, or a free softmax anomaly.

    Args:
        head: maps features (N, ...) to logits, (N, K).

    Example:
        >>> CategoricalLikelihood(nn.Linear(4, 3))(torch.zeros(5, 4), {}).probs.shape
        torch.Size([5, 3])
    """

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, h: Tensor, latents: Latents) -> TorchDistribution:
        return dist.Categorical(logits=self.head(h), validate_args=False)


class NormalLikelihood(Component):
    r"""y ~ Normal(head(h), sigma) with a learned scale: the clean likelihood of regression.

    Args:
        head: maps features (N, ...) to the mean, (N, 1).
        scale: where sigma starts, in the units of y.

    Raises:
        DataError: the scale is not positive.

    Example:
        >>> NormalLikelihood(nn.Linear(4, 1), scale=0.5)(torch.zeros(2, 4), {}).scale
        tensor([0.5000, 0.5000], grad_fn=<ExpandBackward0>)
    """

    def __init__(self, head: nn.Module, *, scale: float = 1.0) -> None:
        super().__init__()
        if not scale > 0:
            raise DataError(f"scale is {scale}; it must be positive.")
        self.head = head
        self.log_scale = nn.Parameter(torch.tensor(float(scale)).log())

    def forward(self, h: Tensor, latents: Latents) -> TorchDistribution:
        return dist.Normal(self.head(h).squeeze(-1), self.log_scale.exp(), validate_args=False)


class UniformLabels(Component):
    """y ~ Uniform over K classes: a wrong label says nothing.

    Args:
        num_classes: K, at least 2.

    Raises:
        DataError: fewer than two classes.

    Example:
        >>> UniformLabels(4)(torch.zeros(1, 2), {}).probs
        tensor([[0.2500, 0.2500, 0.2500, 0.2500]])
    """

    logits: Tensor

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        if num_classes < 2:
            raise DataError(f"num_classes is {num_classes}; a label needs at least two classes.")
        self.register_buffer("logits", torch.zeros(num_classes))

    def forward(self, h: Tensor, latents: Latents) -> TorchDistribution:
        return dist.Categorical(logits=self.logits.expand(len(h), -1), validate_args=False)


class BroadNormal(Component):
    r"""y ~ Normal(m, S), broad and centred on the data: a measurement gone wrong.

    Args:
        loc: m, in the units of y.
        scale: S, in the units of y; several standard deviations of y.

    Raises:
        DataError: the scale is not positive.

    Example:
        >>> BroadNormal.of(torch.tensor([0.0, 2.0, 4.0]))(torch.zeros(1, 1), {}).scale
        tensor([6.])
    """

    loc: Tensor
    scale: Tensor

    def __init__(self, loc: float, scale: float) -> None:
        super().__init__()
        if not scale > 0:
            raise DataError(f"scale is {scale}; it must be positive.")
        self.register_buffer("loc", torch.tensor(float(loc)))
        self.register_buffer("scale", torch.tensor(float(scale)))

    @classmethod
    def of(cls, y: Tensor, *, breadth: float = 3.0) -> "BroadNormal":
        """Centred on the targets y, `breadth` of their standard deviations wide."""
        return cls(y.mean().item(), breadth * y.std().item())

    def forward(self, h: Tensor, latents: Latents) -> TorchDistribution:
        shape = h.shape[:1]
        return dist.Normal(self.loc.expand(shape), self.scale.expand(shape), validate_args=False)


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

    low: Tensor
    high: Tensor

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        if not low < high:
            raise DataError(f"The range [{low}, {high}] is empty.")
        self.register_buffer("low", torch.tensor(float(low)))
        # torch's Uniform leaves its upper end out.
        self.register_buffer("high", torch.tensor(float(high)).nextafter(torch.tensor(torch.inf)))

    def forward(self, h: Tensor, latents: Latents) -> TorchDistribution:
        shape = h.shape[:1]
        return dist.Uniform(self.low.expand(shape), self.high.expand(shape), validate_args=False)
