"""`Component`, the base class of switch priors and likelihoods, and checks of their settings."""

import math
from abc import ABC, abstractmethod
from numbers import Integral

import numpy as np
from pyro.distributions import TorchDistribution
from torch import Tensor, nn

from nbam_pyro.errors import DataError
from nbam_pyro.models.latents import Latents


class Component(nn.Module, ABC):
    r"""One conditional distribution of a `LatentSwitch`: switch prior or likelihood.

    A `LatentSwitch` has three components. The *switch prior* is the distribution of the switch z,
    which is 1 where the target y of a row is contaminated. The *clean likelihood* p(y | x, z=0) is
    the distribution of uncontaminated targets, and the *anomaly likelihood* p(y | x, z=1) is that
    of contaminated targets. Derive a class from `Component` to use a distribution that the library
    does not have:

    1. Write `forward`. It takes features h of the rows and returns a distribution.
    2. Declare unknown numbers. A number with a prior is a *global latent*: return its prior from
       `priors`, and read its value from `latents` in `forward`. A number without a prior is an
       `nn.Parameter` or part of a network, and training estimates it.
    3. Store every argument of the constructor in an attribute of the same name. A fit with the
       component can then be saved and loaded.

    All other methods have defaults, which most components keep.

    Attributes:
        groups: Number of groups, if `forward` takes codes of groups instead of features; 0 if it
            takes features.
        coordinates: Number of last columns of x that `forward` of a switch prior takes instead of
            features; 0 if it takes features.
        one_sided: Whether most contaminated targets may lie on one side of the clean location.
            The default steps of `fit` then try errors upwards and errors downwards.

    Example:
        Rows hold the number of people in a queue, and targets are waiting times in minutes. A
        clean waiting time is exponential, and its mean is proportional to the queue. The time for
        one person is a global latent with a prior around `guess`.

        >>> import math
        >>> import pyro.distributions as dist
        >>> import torch
        >>> from nbam_pyro.functional import responsibility
        >>> from nbam_pyro.models import BetaSwitch, Component, LatentSwitch, UniformRange
        >>> class WaitingTime(Component):
        ...     def __init__(self, guess):
        ...         super().__init__()
        ...         self.guess = guess
        ...
        ...     def priors(self):
        ...         return {"minutes_each": dist.LogNormal(math.log(self.guess), 0.5)}
        ...
        ...     def forward(self, h, latents):
        ...         return dist.Exponential(1 / (latents["minutes_each"] * h[:, 0]))
        >>> story = LatentSwitch(
        ...     switch=BetaSwitch(1.0, 9.0),
        ...     clean=WaitingTime(guess=2.0),
        ...     anomaly=UniformRange(0.0, 600.0),
        ... )

        The story is ready for `fit`. Given values of its global latents, it returns the
        *responsibility* of each row, which is the probability that its target is contaminated:

        >>> people, minutes = torch.tensor([[1.0], [5.0], [1.0]]), torch.tensor([3.0, 12.0, 40.0])
        >>> latents = {"contamination": torch.tensor(0.1), "minutes_each": torch.tensor(2.0)}
        >>> responsibility(*story.log_joint(people, minutes, latents)) > 0.5
        tensor([False, False,  True])
    """

    groups: int = 0
    coordinates: int = 0
    one_sided: bool = False

    @abstractmethod
    def forward(self, h: Tensor, latents: Latents) -> TorchDistribution:
        """Return the distribution of the rows' switches or targets.

        Args:
            h: Features of the rows, (N, ...): the output of the story's trunk, or the rows
                themselves where the story has no trunk. If `groups` is not 0, h are the codes of
                the rows' groups, (N,). If `coordinates` is not 0, h are the last columns of x.
            latents: Value of every global latent of the story by site name.

        Returns:
            A distribution with batch shape (N,), or (N, *dims) where each element of a target has
            a switch of its own. Dimensions of size 1 are broadcast. A switch prior returns a
            Bernoulli distribution; its `logits` are logit P(z=1 | x).
        """

    def priors(self) -> dict[str, TorchDistribution]:
        """Return the priors of the component's global latents by site name; by default empty."""
        return {}

    def check_beside(self, clean: "Component") -> None:
        """Raise a `StoryError` where the component cannot be combined with a clean likelihood.

        By default every clean likelihood is accepted.

        Args:
            clean: Clean likelihood of the same story.
        """

    def start_from(self, *, shift: Tensor, width: Tensor) -> None:
        """Set the values that training starts from. By default this method does nothing.

        Anomaly likelihoods with a learned shift and a learned width override this method.

        Args:
            shift: Distance from the clean location, in the units of y.
            width: Scale of the anomaly likelihood, in the units of y.
        """

    @property
    def target_centre(self) -> float:
        """A number that the component subtracts from targets in their precision; by default 0."""
        return 0.0

    def starts(self, h: Tensor, y: Tensor, *, seed: int) -> list[Latents]:
        """Return starting values of the latents of a clean likelihood; by default there are none.

        Args:
            h: Features of some rows, (N, ...).
            y: Observed targets, (N, *dims).
            seed: Seed of random choices.
        """
        return []

    def starts_beside(self, residual: Tensor, wrong: Tensor, noise: Tensor) -> list[Latents]:
        """Return starting values of a switch prior or an anomaly likelihood, given a clean start.

        By default its latents start at their prior means.

        Args:
            residual: Targets minus the mean of the clean likelihood at its start, (N, *dims).
            wrong: Booleans that mark the targets that look contaminated at this start, (N, *dims).
            noise: Standard deviation of the clean likelihood at its start, ().
        """
        return [{}]

    def as_classes(self, predicted: np.ndarray) -> np.ndarray:
        """Return predictions as class probabilities, (N, *dims, K), where targets are labels.

        Args:
            predicted: Means of the clean likelihood, (N, *dims), or class probabilities,
                (N, *dims, K), as `predict` returns them. By default they are returned unchanged.
        """
        return predicted


def check_positive(name: str, value: float) -> None:
    """Raise a `DataError` where a setting is not positive and finite.

    Args:
        name: Name of the setting, which the error message shows.
        value: Value of the setting.
    """
    if not 0 < value < math.inf:
        raise DataError(f"{name} is {value}; it must be positive and finite.")


def check_whole(name: str, value: float, *, least: int) -> None:
    """Raise a `DataError` where a setting is not a whole number or is too small.

    Args:
        name: Name of the setting, which the error message shows.
        value: Value of the setting.
        least: Smallest allowed value.
    """
    if not isinstance(value, Integral) or value < least:
        raise DataError(f"{name} is {value!r}; give a whole number, {least} or more.")


def check_classes(num_classes: int) -> None:
    """Raise a `DataError` where there are fewer than two classes.

    Args:
        num_classes: Number of classes.
    """
    if num_classes < 2:
        raise DataError(f"num_classes is {num_classes}, but it must be at least 2.")
