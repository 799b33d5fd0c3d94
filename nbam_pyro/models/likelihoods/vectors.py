"""Likelihoods of targets with several elements, and one switch for all elements of a target."""

from collections.abc import Sequence
from typing import final

import numpy as np
import pyro.distributions as dist
import torch
from pyro.distributions import TorchDistribution
from torch import Tensor, nn

from nbam_pyro.errors import DataError, StoryError
from nbam_pyro.models.latents import Latents
from nbam_pyro.models.likelihoods.component import Component, check_positive
from nbam_pyro.training.tensors import at_least_single

__all__ = ["BroadVector", "NormalVector", "OneSwitch"]


@final
class NormalVector(Component):
    r"""y_l ~ Normal(m_l + head(h)_l, sigma_l) for each of L elements: vectors of measurements.

    The elements are independent given h, and training learns a scale for each. With
    `dims=("element",)` the story has a switch for each element. With `OneSwitch` around this
    component, it has one switch for the whole vector.

    Args:
        head: Network that maps features h, (N, ...), to the means minus m, (N, L).
        scale: Scales sigma_l at the start of training, L numbers in the units of y.
        centre: Numbers m_l near the measurements, L numbers in the units of y; None for 0. They are
            part of the mean. Targets that need more digits than single precision has, such as clock
            times, need a story in double precision.

    Raises:
        DataError: A scale is not positive, or the numbers of scales and centres differ.
        StoryError: The head does not have one output for each element.

    Example:
        >>> vector = NormalVector(nn.Linear(4, 2), scale=[1.0, 5.0])
        >>> vector(torch.zeros(3, 4), {}).batch_shape
        torch.Size([3, 2])
    """

    unit: Tensor
    middle: Tensor

    def __init__(
        self, head: nn.Module, *, scale: Sequence[float], centre: Sequence[float] | None = None
    ) -> None:
        super().__init__()
        middle = [0.0] * len(scale) if centre is None else list(centre)
        _check_elements(middle, scale)
        self.head = head
        self.scale = list(scale)
        self.centre = centre if centre is None else list(centre)
        self.register_buffer("unit", torch.tensor(self.scale))
        self.register_buffer("middle", torch.tensor(middle))
        self.log_relative_scale = nn.Parameter(torch.zeros(len(self.scale)))

    def forward(self, h: Tensor, latents: Latents) -> TorchDistribution:
        means = at_least_single(self.head(h))
        if means.shape[-1] != len(self.scale):
            raise StoryError(
                f"The head has {means.shape[-1]} outputs, but there are {len(self.scale)} scales. "
                "Give it one output for each element of a target."
            )
        scale = self.unit * self.log_relative_scale.exp()
        return dist.Normal(self.middle + means, scale, validate_args=False)


@final
class BroadVector(Component):
    r"""y_l ~ Normal(m_l, S_l) for each of L elements: broad distributions of contaminated vectors.

    It does not depend on x. `BroadVector.of(y)` chooses locations and scales from the targets.

    Args:
        loc: Locations m_l, L numbers in the units of y.
        scale: Scales S_l, L numbers in the units of y.

    Raises:
        DataError: A scale is not positive, or the numbers of locations and scales differ.

    Example:
        >>> BroadVector.of(torch.tensor([[0.0, 5.0], [2.0, 5.5], [4.0, 6.0]])).scale
        [6.0, 1.5]
    """

    unit: Tensor
    middle: Tensor

    def __init__(self, loc: Sequence[float], scale: Sequence[float]) -> None:
        super().__init__()
        _check_elements(loc, scale)
        self.loc = list(loc)
        self.scale = list(scale)
        self.register_buffer("unit", torch.tensor(self.scale))
        self.register_buffer("middle", torch.tensor(self.loc))

    @classmethod
    def of(cls, y: Tensor, *, breadth: float = 3.0) -> "BroadVector":
        """Return a `BroadVector` around the means of the elements.

        Args:
            y: Observed targets, (N, L).
            breadth: Scales S_l as multiples of the standard deviations of the elements.
        """
        y = y.double()
        return cls(y.mean(0).tolist(), (breadth * y.std(0)).tolist())

    def forward(self, h: Tensor, latents: Latents) -> TorchDistribution:
        shape = len(h), len(self.scale)
        return dist.Normal(self.middle.expand(shape), self.unit.expand(shape), validate_args=False)


@final
class OneSwitch(Component):
    r"""p(y_1, ..., y_L) of the elements of another likelihood, which then share one switch.

    Wrap both likelihoods of a `LatentSwitch` in it, and leave out `dims`. Either all elements of a
    target are contaminated, or none is. The elements are independent given h and the switch.

    .. math:: \log p(y \mid h) = \sum_l \log p(y_l \mid h)

    Args:
        part: Likelihood with a distribution for each of L elements, (N, L), such as `NormalVector`,
            or `BernoulliLikelihood` with several labels.

    Example:
        >>> vector = OneSwitch(NormalVector(nn.Linear(4, 2), scale=[1.0, 5.0]))
        >>> vector(torch.zeros(3, 4), {}).log_prob(torch.zeros(3, 2)).shape
        torch.Size([3])
    """

    def __init__(self, part: Component) -> None:
        super().__init__()
        self.part = part

    def forward(self, h: Tensor, latents: Latents) -> TorchDistribution:
        elements: TorchDistribution = self.part(h, latents)
        return elements.to_event(1)

    def priors(self) -> dict[str, TorchDistribution]:
        return self.part.priors()

    def check_beside(self, clean: Component) -> None:
        self.part.check_beside(clean.part if isinstance(clean, OneSwitch) else clean)

    @property
    def target_centre(self) -> float:
        return self.part.target_centre

    def as_classes(self, predicted: np.ndarray) -> np.ndarray:
        return self.part.as_classes(predicted)


def _check_elements(middle: Sequence[float], scale: Sequence[float]) -> None:
    """Raise a `DataError` where locations and scales of elements do not fit."""
    if len(middle) != len(scale) or not len(scale):
        raise DataError(
            f"There are {len(middle)} locations and {len(scale)} scales. Give one of each for "
            "every element of a target."
        )
    for value in scale:
        check_positive("scale", value)
