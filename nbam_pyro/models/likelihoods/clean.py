"""Clean likelihoods: what is observed where nothing went wrong.

A categorical with a head of its own is also the free anomaly of the paper's three-head story.
"""

from abc import ABC, abstractmethod

import numpy as np
import pyro.distributions as dist
import torch
from pyro.distributions import TorchDistribution
from torch import Tensor, nn

from nbam_pyro.errors import DataError
from nbam_pyro.models.latents import Latents
from nbam_pyro.models.likelihoods.centred import centred
from nbam_pyro.models.likelihoods.component import Component, check_positive


class CategoricalLikelihood(Component):
    r"""y ~ Categorical(softmax(head(h))): a classifier.

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


class BernoulliLikelihood(Component):
    r"""y ~ Bernoulli(sigmoid(head(h))): one binary label, or several at once.

    Args:
        head: maps features (N, ...) to logits, (N, 1), or (N, L) for several labels.
        multi_label: targets are (N, L), each label with a switch of its own; the story then needs
            `dims=("label",)`.

    Example:
        >>> BernoulliLikelihood(nn.Linear(4, 1))(torch.zeros(5, 4), {}).batch_shape
        torch.Size([5])
        >>> tags = BernoulliLikelihood(nn.Linear(4, 3), multi_label=True)
        >>> tags(torch.zeros(5, 4), {}).batch_shape
        torch.Size([5, 3])
    """

    def __init__(self, head: nn.Module, *, multi_label: bool = False) -> None:
        super().__init__()
        self.head = head
        self.multi_label = multi_label

    def forward(self, h: Tensor, latents: Latents) -> TorchDistribution:
        logits = self.head(h)
        logits = logits if self.multi_label else logits.squeeze(-1)
        return _Binary(logits=logits, validate_args=False)

    def as_classes(self, predicted: np.ndarray) -> np.ndarray:
        return np.stack([1 - predicted, predicted], -1)


class _Binary(dist.Bernoulli):
    """A Bernoulli that takes labels as integers too."""

    def log_prob(self, value: Tensor) -> Tensor:
        return super().log_prob(value.to(self.logits.dtype))


class LocationScale(Component, ABC):
    """A measurement around centre + head(h) with a scale that is learned; a base for your own.

    Where the head has a second column the scale depends on the input:
    sigma(x) = sigma * exp(3 tanh(head(h)_2 / 3)), within a factor of e^3 of the common one, so that
    no row can be fitted with a scale of zero.

    Targets are compared with the centre in their own precision. A centre near measurements that
    lie far from 0, such as clock times, keeps their digits.
    """

    def __init__(self, head: nn.Module, *, scale: float = 1.0, centre: float = 0.0) -> None:
        super().__init__()
        check_positive("scale", scale)
        self.head = head
        self.scale = scale
        self.centre = centre
        # In units of `scale`, so that no unit of y is rounded more than another.
        self.log_relative_scale = nn.Parameter(torch.zeros(()))

    def forward(self, h: Tensor, latents: Latents) -> TorchDistribution:
        return centred(self.around(*self.deviation_and_scale(h)), self.centre)

    def start_at(self, scale: Tensor) -> None:
        """Set the scale that training starts from, in the units of y."""
        self.log_relative_scale.copy_((scale / self.scale).log())

    def deviation_and_scale(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Location less the centre, (N,), and scale, () or (N,), both in the units of y."""
        columns = self.head(h)
        relative: Tensor = self.log_relative_scale
        if columns.shape[-1] > 1:
            relative = relative + 3 * torch.tanh(columns[..., 1] / 3)
        return columns[..., 0], self.scale * relative.exp()

    @abstractmethod
    def around(self, loc: Tensor, scale: Tensor) -> TorchDistribution:
        """The family of y - centre, with location (N,) and scale, both in the units of y."""


class NormalLikelihood(LocationScale):
    r"""y ~ Normal(f(h), sigma) with a learned scale: the clean likelihood of regression.

    Args:
        head: maps features (N, ...) to the mean, (N, 1), or to mean and log relative scale,
            (N, 2), for a scale that depends on the input.
        scale: where sigma starts, in the units of y.
        centre: a number near measurements that lie far from 0, in the units of y; the mean is
            centre + head(h).

    Raises:
        DataError: the scale is not positive.

    Example:
        >>> NormalLikelihood(nn.Linear(4, 1), scale=0.5)(torch.zeros(2, 4), {}).scale
        tensor([0.5000, 0.5000], grad_fn=<ExpandBackward0>)
    """

    def around(self, loc: Tensor, scale: Tensor) -> TorchDistribution:
        return dist.Normal(loc, scale, validate_args=False)


class LinearNormal(Component):
    r"""y ~ Normal(b + w . h, sigma) with a posterior of all three, where those above have a guess.

    .. math::
        w_j \sim N(0, s), \qquad b \sim N(m, s), \qquad \sigma \sim \mathrm{HalfNormal}(s)

    The sites "weight" (D,), "bias" () and "noise" (). For regressions small enough to be checked
    by `nuts`.

    Args:
        features: D, the columns of h.
        scale: s, in the units of y; several times what is expected.
        centre: m, about where y lies.

    Raises:
        DataError: a number is not positive.

    Example:
        >>> latents = {"weight": torch.ones(2), "bias": torch.tensor(1.0), "noise": torch.ones(())}
        >>> LinearNormal(2)(torch.ones(1, 2), latents).mean
        tensor([3.])
    """

    zero: Tensor

    def __init__(self, features: int, *, scale: float = 10.0, centre: float = 0.0) -> None:
        super().__init__()
        check_positive("features", features)
        check_positive("scale", scale)
        self.features = features
        self.scale = scale
        self.centre = centre
        self.register_buffer("zero", torch.zeros(()))

    def priors(self) -> dict[str, TorchDistribution]:
        scale = self.zero + self.scale
        weight = dist.Normal(self.zero.expand(self.features), scale, validate_args=False)
        return {
            "weight": weight.to_event(1),
            "bias": dist.Normal(self.zero + self.centre, scale, validate_args=False),
            "noise": dist.HalfNormal(scale, validate_args=False),
        }

    def forward(self, h: Tensor, latents: Latents) -> TorchDistribution:
        mean = h @ latents["weight"] + latents["bias"]
        return dist.Normal(mean, latents["noise"], validate_args=False)


class LaplaceLikelihood(LocationScale):
    r"""y ~ Laplace(f(h), b): clean measurements whose noise has heavier tails than a Normal's.

    Args:
        head: as of `NormalLikelihood`, for the median and the log relative scale.
        scale: where b starts, in the units of y.
        centre: as of `NormalLikelihood`.

    Raises:
        DataError: the scale is not positive.

    Example:
        >>> LaplaceLikelihood(nn.Linear(4, 1))(torch.zeros(2, 4), {}).batch_shape
        torch.Size([2])
    """

    def around(self, loc: Tensor, scale: Tensor) -> TorchDistribution:
        return dist.Laplace(loc, scale, validate_args=False)


class StudentTLikelihood(LocationScale):
    r"""y ~ StudentT(df, f(h), sigma): clean measurements with heavy tails.

    The heavier the tails, the less is left to be called an anomaly; df is fixed for that reason.

    Args:
        head: as of `NormalLikelihood`, for the location and the log relative scale.
        scale: where sigma starts, in the units of y.
        centre: as of `NormalLikelihood`.
        df: degrees of freedom, above 1.

    Raises:
        DataError: the scale is not positive or df is not above 1.

    Example:
        >>> StudentTLikelihood(nn.Linear(4, 1), df=5.0)(torch.zeros(2, 4), {}).df
        tensor([5., 5.])
    """

    def __init__(
        self, head: nn.Module, *, scale: float = 1.0, centre: float = 0.0, df: float = 4.0
    ) -> None:
        super().__init__(head, scale=scale, centre=centre)
        if not df > 1:
            raise DataError(f"df is {df}; a Student-t with a mean needs more than 1.")
        self.df = df

    def around(self, loc: Tensor, scale: Tensor) -> TorchDistribution:
        df = torch.full_like(loc, self.df, requires_grad=False)
        return dist.StudentT(df, loc, scale, validate_args=False)


class PoissonLikelihood(Component):
    r"""y ~ Poisson(exp(head(h))): counts.

    Args:
        head: maps features (N, ...) to the log mean, (N, 1).

    Example:
        >>> PoissonLikelihood(nn.Linear(4, 1))(torch.zeros(2, 4), {}).batch_shape
        torch.Size([2])
    """

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, h: Tensor, latents: Latents) -> TorchDistribution:
        return dist.Poisson(self.head(h).squeeze(-1).exp(), validate_args=False)


class NegativeBinomialLikelihood(Component):
    r"""y ~ NegativeBinomial with mean m = exp(head(h)) and variance m + m^2 / concentration.

    Args:
        head: maps features (N, ...) to the log mean, (N, 1).
        concentration: where it starts; learned. Large values approach a Poisson.

    Raises:
        DataError: the concentration is not positive.

    Example:
        >>> counts = NegativeBinomialLikelihood(nn.Linear(4, 1), concentration=2.0)
        >>> clean = counts(torch.zeros(1, 4), {})
        >>> bool(torch.isclose(clean.variance, clean.mean + clean.mean**2 / 2))
        True
    """

    def __init__(self, head: nn.Module, *, concentration: float = 10.0) -> None:
        super().__init__()
        check_positive("concentration", concentration)
        self.head = head
        self.concentration = concentration
        self.log_concentration = nn.Parameter(torch.tensor(float(concentration)).log())

    def forward(self, h: Tensor, latents: Latents) -> TorchDistribution:
        logits = self.head(h).squeeze(-1) - self.log_concentration
        return dist.NegativeBinomial(
            self.log_concentration.exp(), logits=logits, validate_args=False
        )
