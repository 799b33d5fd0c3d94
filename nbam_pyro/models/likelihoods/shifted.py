"""Anomaly likelihoods with a learned shift from the clean location and a learned scale."""

from abc import ABC, abstractmethod

import pyro.distributions as dist
import torch
from pyro.distributions import TorchDistribution
from torch import Tensor, nn

from nbam_pyro.errors import StoryError
from nbam_pyro.models.latents import Latents
from nbam_pyro.models.likelihoods.centred import centred
from nbam_pyro.models.likelihoods.clean_measurements import LocationScale
from nbam_pyro.models.likelihoods.component import Component, check_positive


class ShiftedComponent(Component, ABC):
    r"""Base class of anomaly likelihoods around f(x) + delta, where f(x) is the clean location.

    Training learns the shift delta and the scale S. A learned anomaly likelihood could become equal
    to the clean likelihood and explain clean targets. To prevent this, the distribution has the
    scale

    .. math:: \sqrt{S^2 + \max(0, (k \sigma)^2 - \delta^2)}

    Here sigma is the scale of the clean likelihood, and k is the argument `separation`. The squared
    shift and the squared scale of the anomaly likelihood therefore add up to at least (k sigma)^2.

    To use another family of distributions, derive a class and write `around`.

    Args:
        clean: Clean likelihood of the same story (the same module, not a copy).
        shift: Value of delta at the start of training, in the units of y.
        scale: Value of S at the start of training, in the units of y.
        separation: Number k of clean scales by which the anomaly likelihood differs from the clean
            likelihood. The squared shift and the squared scale of the anomaly likelihood add up to
            at least (k sigma)^2 (see above).

    Raises:
        DataError: The scale or the separation is not positive.
        StoryError: The clean likelihood has no location and scale.
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
        if not isinstance(clean, LocationScale):
            raise StoryError(
                f"The clean likelihood is a {type(clean).__name__}, which has no location and "
                "scale for a shift. Use a LocationScale such as NormalLikelihood, or an anomaly "
                "likelihood of its own location such as BroadStudentT."
            )
        check_positive("scale", scale)
        check_positive("separation", separation)
        self.clean = clean
        self.shift = shift
        self.scale = scale
        self.separation = separation
        # In units of `scale`, so that a step of the optimiser does not depend on the units of y.
        self.relative_shift = nn.Parameter(torch.tensor(float(shift) / float(scale)))
        self.log_relative_scale = nn.Parameter(torch.zeros(()))

    one_sided = True

    def check_beside(self, clean: Component) -> None:
        if self.clean is not clean:
            raise StoryError(
                "The anomaly likelihood belongs to the clean likelihood of another story: create "
                "it with the same module that the story takes as clean=."
            )

    def start_from(self, *, shift: Tensor, width: Tensor) -> None:
        self.relative_shift.copy_(shift / self.scale)
        self.log_relative_scale.copy_((width / self.scale).log())

    @property
    def delta(self) -> Tensor:
        """The shift delta, in the units of y."""
        return self.scale * self.relative_shift

    def forward(self, h: Tensor, latents: Latents) -> TorchDistribution:
        location, sigma = self.clean.deviation_and_scale(h)
        apart = (self.separation * sigma / self.scale) ** 2 - self.relative_shift**2
        scale = self.scale * ((2 * self.log_relative_scale).exp() + apart.clamp_min(0)).sqrt()
        return centred(self.around(location + self.delta, scale), self.clean.centre)

    @abstractmethod
    def around(self, loc: Tensor, scale: Tensor) -> TorchDistribution:
        """Return the distribution of y - centre.

        Args:
            loc: Location of the distribution of y minus the centre of the clean likelihood, (N,),
                in the units of y.
            scale: Scale of the distribution, in the units of y: a scalar for all rows or one number
                for each row, (N,).
        """


class ShiftedNormal(ShiftedComponent):
    r"""y ~ Normal(f(h) + delta, S): contaminated measurements whose errors lie mostly on one side.

    Training learns the shift delta and the scale S. The distribution does not explain large errors
    on the *other* side; `ShiftedStudentT` explains errors on both sides.

    Args:
        clean: Clean likelihood of the same story (the same module, not a copy).
        shift: Value of delta at the start of training, in the units of y. Its sign is the side on
            which errors are expected.
        scale: Value of S at the start of training, in the units of y.
        separation: Number k of clean scales by which the anomaly likelihood differs from the clean
            likelihood. The squared shift and the squared scale of the anomaly likelihood add up to
            at least (k sigma)^2 (see `ShiftedComponent`).

    Raises:
        DataError: The scale or the separation is not positive.

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
    r"""y ~ StudentT(df, f(h) + delta, S): contaminated measurements with errors on any side.

    Training learns the shift delta and the scale S. The tails are heavier than those of a Normal
    distribution on both sides. A distant outlier therefore counts as contaminated, even where most
    errors lie on the other side.

    Args:
        clean: Clean likelihood of the same story (the same module, not a copy).
        shift: Value of delta at the start of training, in the units of y.
        scale: Value of S at the start of training, in the units of y.
        separation: Number k of clean scales by which the anomaly likelihood differs from the clean
            likelihood. The squared shift and the squared scale of the anomaly likelihood add up to
            at least (k sigma)^2 (see `ShiftedComponent`).
        df: Degrees of freedom, positive.

    Raises:
        DataError: The scale, the separation or df is not positive.

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
