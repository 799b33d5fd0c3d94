"""What the conditionals of a latent switch have in common."""

import math
from abc import ABC, abstractmethod
from numbers import Integral

import numpy as np
from pyro.distributions import TorchDistribution
from torch import Tensor, nn

from nbam_pyro.errors import DataError
from nbam_pyro.models.latents import Latents


class Component(nn.Module, ABC):
    """One conditional of a `LatentSwitch`: a class with one method to write, `forward`.

    The other methods have defaults. Keep each argument of the constructor as an attribute of the
    same name: then a fit can be saved and loaded.

    Attributes:
        groups: Number of groups whose codes the component takes in place of features; 0 for none.
        one_sided: Whether the component may lie on one side of the clean location.
    """

    groups: int = 0
    one_sided: bool = False

    @abstractmethod
    def forward(self, h: Tensor, latents: Latents) -> TorchDistribution:
        """Return the conditional distribution given features.

        Args:
            h: Features of the rows, (N, ...).
            latents: Global latents by site name.

        Returns:
            A distribution of batch shape (N,), or (N, *dims) where each element of a target has a
            switch. Sizes of 1 are broadcast.
        """

    def priors(self) -> dict[str, TorchDistribution]:
        """Return the priors of the component's global latents by site name; by default none."""
        return {}

    def check_beside(self, clean: "Component") -> None:
        """Raise a `StoryError` where the component cannot be combined with a clean likelihood."""

    def start_from(self, *, shift: Tensor, width: Tensor) -> None:
        """Set where training starts, if the component has a shift and a width; default: nothing.

        Args:
            shift: Distance from the clean location, in the units of y.
            width: Scale, in the units of y.
        """

    def as_classes(self, predicted: np.ndarray) -> np.ndarray:
        """Return predictions as probabilities of classes, where the component has classes.

        Args:
            predicted: What `predict` returns, (N, *dims) or (N, *dims, K).
        """
        return predicted


def check_positive(name: str, value: float) -> None:
    """Raise a `DataError` where a setting is not positive and finite."""
    if not 0 < value < math.inf:
        raise DataError(f"{name} is {value}; it must be positive and finite.")


def check_whole(name: str, value: float, *, least: int) -> None:
    """Raise a `DataError` where a setting is no whole number, or below the least."""
    if not isinstance(value, Integral) or value < least:
        raise DataError(f"{name} is {value!r}; give a whole number, {least} or more.")


def check_classes(num_classes: int) -> None:
    """Raise a `DataError` where there are fewer than two classes."""
    if num_classes < 2:
        raise DataError(f"num_classes is {num_classes}; a label needs at least two classes.")
