"""`ClosedStory`, a story whose switch is summed out in closed form."""

from abc import abstractmethod

import pyro
from pyro.distributions import TorchDistribution
from torch import Tensor

from nbam_pyro.models.latents import Latents
from nbam_pyro.models.stories.story import Story
from nbam_pyro.verified import NOTHING, Verified


class ClosedStory(Story):
    r"""A story whose switch z is summed out in closed form, given its global latents.

    `log_joint` returns the *pair* a = log p(z=0, y | x) and b = log p(z=1, y | x) of every row.
    The log marginal of the row is logaddexp(a, b), and its responsibility P(z=1 | x, y) is
    sigmoid(b - a). The pair must agree with `forward`: `fit` compares them once, and raises a
    `StoryError` where they differ.
    """

    @property
    def closed_form(self) -> "ClosedStory":
        return self

    @abstractmethod
    def priors(self) -> dict[str, TorchDistribution]:
        """Return the prior of every global latent by site name, without further sites."""

    @abstractmethod
    def log_joint(
        self, x: Tensor, y: Tensor, latents: Latents, *, verified: Verified = NOTHING
    ) -> tuple[Tensor, Tensor]:
        """Return the pair (a, b) of every switch, given the global latents.

        a is log p(y, z=0 | x) and b is log p(y, z=1 | x), two tensors of shape (N, *dims).

        Args:
            x: Rows, (N, ...).
            y: Observed targets, (N, *dims).
            latents: Values of the global latents by site name.
            verified: Verified switches and true labels of the rows. The value of a state that
                contradicts them is -inf.
        """

    @abstractmethod
    def switch_logits(self, x: Tensor, latents: Latents) -> Tensor:
        """Return the logit of the prior P(z=1 | x), broadcastable to (N, *dims).

        Args:
            x: Rows, (N, ...).
            latents: Values of the global latents by site name.
        """

    @abstractmethod
    def clean_predictor(self, x: Tensor, latents: Latents) -> TorchDistribution: ...

    def initial_predictor(self, x: Tensor) -> TorchDistribution:
        return self.clean_predictor(x, self.prior_means())

    def prior_means(self) -> dict[str, Tensor]:
        """Return the prior mean of every global latent by site name."""
        return {name: prior.mean for name, prior in self.priors().items()}

    def sample_latents(self) -> dict[str, Tensor]:
        """Draw the global latents from `priors`, one Pyro sample site for each, by site name."""
        return {name: pyro.sample(name, prior) for name, prior in self.priors().items()}
