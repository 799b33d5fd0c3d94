"""Clean likelihoods of measurements: distributions of uncontaminated measurements given x."""

import math
from abc import ABC, abstractmethod

import pyro.distributions as dist
import torch
from pyro.distributions import TorchDistribution
from torch import Tensor, nn

from nbam_pyro.errors import DataError
from nbam_pyro.models.latents import Latents
from nbam_pyro.models.likelihoods.centred import centred
from nbam_pyro.models.likelihoods.component import Component, check_positive
from nbam_pyro.models.likelihoods.two_piece import TwoPieceNormal
from nbam_pyro.training.tensors import at_least_single


class LocationScale(Component, ABC):
    """Base class of clean likelihoods with the location centre + head(h) and a learned scale.

    If the head has a second output head(h)_2, the scale depends on the input: sigma(x) = sigma *
    exp(3 tanh(head(h)_2 / 3)). This scale differs from the common scale sigma by a factor of at
    most e^3, so the scale of a row cannot be fitted to a value near 0.

    The centre is subtracted from the targets in the precision of the targets. Measurements far from
    0, such as clock times, therefore keep their digits if the centre is near them.

    To use another family of distributions, derive a class and write `around`.

    Args:
        head: Network that maps features h, (N, ...), to the location minus the centre, (N, 1). A
            second output, (N, 2), is the logarithm of the relative scale.
        scale: Scale at the start of training, in the units of y.
        centre: A number near the measurements, in the units of y.

    Raises:
        DataError: The scale is not positive.
    """

    def __init__(self, head: nn.Module, *, scale: float = 1.0, centre: float = 0.0) -> None:
        super().__init__()
        check_positive("scale", scale)
        self.head = head
        self.scale = scale
        self.centre = centre
        # In units of `scale`, so that rounding does not depend on the units of y.
        self.log_relative_scale = nn.Parameter(torch.zeros(()))

    def forward(self, h: Tensor, latents: Latents) -> TorchDistribution:
        return centred(self.around(*self.deviation_and_scale(h)), self.centre)

    @property
    def target_centre(self) -> float:
        return self.centre

    def start_at(self, scale: Tensor) -> None:
        """Set the scale that training starts from.

        Args:
            scale: Scale of the clean likelihood at the start of training, a scalar tensor, in the
                units of y.
        """
        self.log_relative_scale.copy_((scale / self.scale).log())

    def deviation_and_scale(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Return the location minus the centre, (N,), and the scale, () or (N,), in the units of y.

        Args:
            h: Features of the rows, (N, ...).
        """
        columns = at_least_single(self.head(h))
        relative: Tensor = self.log_relative_scale
        if columns.shape[-1] > 1:
            relative = relative + 3 * torch.tanh(columns[..., 1] / 3)
        return columns[..., 0], self.scale * relative.exp()

    @abstractmethod
    def around(self, loc: Tensor, scale: Tensor) -> TorchDistribution:
        """Return the distribution of y - centre.

        Args:
            loc: Location minus the centre, (N,), in the units of y.
            scale: Scale of the distribution, in the units of y: a scalar for all rows or one number
                for each row, (N,).
        """


class NormalLikelihood(LocationScale):
    r"""y ~ Normal(f(h), sigma) with a learned scale: the usual clean likelihood of regression.

    The clean likelihood is the distribution of uncontaminated targets.

    Args:
        head: Network that maps features h, (N, ...), to the mean minus the centre, (N, 1). A second
            column, (N, 2), is the logarithm of the relative scale; the scale then depends on the
            input.
        scale: Value of sigma at the start of training, in the units of y.
        centre: A number near the measurements, in the units of y. Give it if the measurements lie
            far from 0. The mean is f(h) = centre + head(h).

    Raises:
        DataError: The scale is not positive.

    Example:
        >>> NormalLikelihood(nn.Linear(4, 1), scale=0.5)(torch.zeros(2, 4), {}).scale
        tensor([0.5000, 0.5000], grad_fn=<ExpandBackward0>)
    """

    def around(self, loc: Tensor, scale: Tensor) -> TorchDistribution:
        return dist.Normal(loc, scale, validate_args=False)


class LaplaceLikelihood(LocationScale):
    r"""y ~ Laplace(f(h), b): a clean likelihood with heavier tails than a Normal distribution.

    Args:
        head: Network that maps features h, (N, ...), to the median minus the centre, (N, 1). A
            second output, (N, 2), is the logarithm of the relative scale.
        scale: Value of b at the start of training, in the units of y.
        centre: A number near the measurements, in the units of y. Give it if the measurements lie
            far from 0.

    Raises:
        DataError: The scale is not positive.

    Example:
        >>> LaplaceLikelihood(nn.Linear(4, 1))(torch.zeros(2, 4), {}).batch_shape
        torch.Size([2])
    """

    def around(self, loc: Tensor, scale: Tensor) -> TorchDistribution:
        return dist.Laplace(loc, scale, validate_args=False)


class StudentTLikelihood(LocationScale):
    r"""y ~ StudentT(df, f(h), sigma): a clean likelihood with heavy tails.

    With heavier tails, more outliers count as clean and fewer targets count as contaminated. For
    this reason training does not change df.

    Args:
        head: Network that maps features h, (N, ...), to the location minus the centre, (N, 1). A
            second output, (N, 2), is the logarithm of the relative scale.
        scale: Value of sigma at the start of training, in the units of y.
        centre: A number near the measurements, in the units of y. Give it if the measurements lie
            far from 0.
        df: Degrees of freedom, above 1.

    Raises:
        DataError: The scale is not positive, or df is not above 1.

    Example:
        >>> StudentTLikelihood(nn.Linear(4, 1), df=5.0)(torch.zeros(2, 4), {}).df
        tensor([5., 5.])
    """

    def __init__(
        self, head: nn.Module, *, scale: float = 1.0, centre: float = 0.0, df: float = 4.0
    ) -> None:
        super().__init__(head, scale=scale, centre=centre)
        if not 1 < df < math.inf:
            raise DataError(f"df is {df}; it must be finite, and above 1 so that a mean exists.")
        self.df = df

    def around(self, loc: Tensor, scale: Tensor) -> TorchDistribution:
        df = torch.full_like(loc, self.df, requires_grad=False)
        return dist.StudentT(df, loc, scale, validate_args=False)


class SkewedLikelihood(LocationScale):
    r"""y ~ TwoPieceNormal(f(h), sigma, k): a clean likelihood with skewed noise.

    Noise above f(h) has the scale sigma e^k and noise below it sigma e^-k. f(h) is the most
    probable value, and the mean lies beside it. Training learns k, between -1 and 1.

    Args:
        head: Network that maps features h, (N, ...), to the mode minus the centre, (N, 1). A second
            output, (N, 2), is the logarithm of the relative scale.
        scale: Value of sigma at the start of training, in the units of y.
        centre: A number near the measurements, in the units of y, where they lie far from 0.

    Raises:
        DataError: The scale is not positive.

    Example:
        >>> SkewedLikelihood(nn.Linear(4, 1))(torch.zeros(2, 4), {}).batch_shape
        torch.Size([2])
    """

    def __init__(self, head: nn.Module, *, scale: float = 1.0, centre: float = 0.0) -> None:
        super().__init__(head, scale=scale, centre=centre)
        self.free_skewness = nn.Parameter(torch.zeros(()))

    def around(self, loc: Tensor, scale: Tensor) -> TorchDistribution:
        return TwoPieceNormal(loc, scale, self.free_skewness.tanh())
