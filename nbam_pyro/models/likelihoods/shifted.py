"""Anomaly likelihoods that are shifted from the clean likelihood, with learned shift and scale."""

from abc import ABC, abstractmethod

import pyro.distributions as dist
import torch
from pyro.distributions import TorchDistribution
from torch import Tensor, nn

from nbam_pyro.errors import StoryError
from nbam_pyro.models.latents import Latents
from nbam_pyro.models.likelihoods.centred import centred
from nbam_pyro.models.likelihoods.clean import LocationScale
from nbam_pyro.models.likelihoods.component import Component, check_positive


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
