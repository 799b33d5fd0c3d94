"""What the conditionals of a latent switch have in common."""

from abc import abstractmethod

from pyro.distributions import TorchDistribution
from pyro.nn import PyroModule
from torch import Tensor

from nbam_pyro.models.story import Latents, StoryMeta


class Component(PyroModule, metaclass=StoryMeta):
    """One conditional of a `LatentSwitch`: a class with one method to write."""

    @abstractmethod
    def forward(self, h: Tensor, latents: Latents) -> TorchDistribution:
        """The conditional distribution given features h (N, ...), batch shape (N,)."""

    def priors(self) -> dict[str, TorchDistribution]:
        """Priors of the component's global latents by site name; none by default."""
        return {}
