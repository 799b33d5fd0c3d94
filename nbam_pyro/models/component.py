"""What the conditionals of a latent switch have in common."""

from abc import ABC, abstractmethod

from pyro.distributions import TorchDistribution
from torch import Tensor, nn

from nbam_pyro.models.story import Latents


class Component(nn.Module, ABC):
    """One conditional of a `LatentSwitch`: a class with one method to write."""

    @abstractmethod
    def forward(self, h: Tensor, latents: Latents) -> TorchDistribution:
        """The conditional distribution given features h (N, ...), batch shape (N,)."""

    def priors(self) -> dict[str, TorchDistribution]:
        """Priors of the component's global latents by site name; none by default."""
        return {}
