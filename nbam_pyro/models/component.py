"""What the conditionals of a latent switch have in common."""

import math
from abc import ABC, abstractmethod
from numbers import Integral

from pyro.distributions import TorchDistribution
from torch import Tensor, nn

from nbam_pyro.errors import DataError
from nbam_pyro.models.story import Latents


class Component(nn.Module, ABC):
    """One conditional of a `LatentSwitch`: a class with one method to write.

    Arguments of the constructor kept as attributes of the same name let a fit be saved and loaded.
    """

    @abstractmethod
    def forward(self, h: Tensor, latents: Latents) -> TorchDistribution:
        """The conditional distribution given features h (N, ...).

        Batch shape (N,), or (N, *dims) where the elements of a target have a switch each; sizes of
        1 are broadcast.
        """

    def priors(self) -> dict[str, TorchDistribution]:
        """Priors of the component's global latents by site name; none by default."""
        return {}


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
