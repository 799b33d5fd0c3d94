"""Two objectives of one posterior: the same guide, the same global sites, the same expectation.

Both are -ELBO / num_data of a mini-batch at one draw of the global latents:

    mean over the batch of -log p(y | x, latents)  +  (log q(latents) - log p(latents)) / num_data

A row of weight w counts as w rows; targets of several switches sum over them; of a verified row
the log marginal is that of what is verified, too.
"""

from typing import Protocol

import torch
from pyro.distributions import TorchDistribution
from pyro.infer import TraceEnum_ELBO
from torch import Tensor, nn

from nbam_pyro import functional as nf
from nbam_pyro.errors import StoryError
from nbam_pyro.inference.variational.enumeration import log_joint, with_verified
from nbam_pyro.inference.variational.guides import Draw, sample_guide
from nbam_pyro.models import Story
from nbam_pyro.models.stories.sites import local_parameters
from nbam_pyro.training.rows import Batch


class Objective(Protocol):
    """A loss of mini-batches out of num_data rows."""

    def __call__(self, batch: Batch, num_data: int) -> Tensor:
        """The value for a batch of rows."""


class ClosedObjective:
    """The closed form: the switch summed out by the story's `log_joint`.

    Args:
        story: with a closed form.
        guide: of its global latents.
        num_draws: of them, that each value is averaged over.

    Raises:
        StoryError: the story has no closed form.
    """

    def __init__(self, story: Story, guide: nn.Module, *, num_draws: int = 1) -> None:
        if story.closed_form is None:
            raise StoryError(
                f"{type(story).__name__} has no closed form; fit it with objective='elbo'."
            )
        self.story = story.closed_form
        self.guide = guide
        self.num_draws = num_draws

    def __call__(self, batch: Batch, num_data: int) -> Tensor:
        values = [self._at_a_draw(batch, num_data) for _ in range(self.num_draws)]
        return values[0] if self.num_draws == 1 else torch.stack(values).mean(0)

    def _at_a_draw(self, batch: Batch, num_data: int) -> Tensor:
        x, y, weights, verified = batch
        latents, log_q = sample_guide(self.guide, x, y, num_data=num_data)
        log_p = _log_prior(self.story.priors(), latents)
        pair = log_joint(self.story, x, y, latents, verified=verified)
        return (log_q - log_p) / num_data - weighted_mean(nf.log_marginal(*pair), weights)


class EnumeratedObjective:
    """Pyro's `TraceEnum_ELBO` of the story as it is written; every row counts once.

    Args:
        story: any story.
        guide: of its global latents.
        num_draws: of them, that each value is averaged over.
    """

    def __init__(self, story: Story, guide: nn.Module, *, num_draws: int = 1) -> None:
        self.story = story
        nesting = 1 + len(story.dims)
        with local_parameters():
            elbo = TraceEnum_ELBO(num_particles=num_draws, max_plate_nesting=nesting)
            self.elbo = elbo(story, guide)

    def __call__(self, batch: Batch, num_data: int) -> Tensor:
        x, y, _, verified = batch  # pyro.poutine.scale of a datum does not go with enumeration
        with local_parameters(), with_verified(self.story, verified):
            return self.elbo(x, y, num_data=num_data, **verified.keyword) / num_data


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Mean over the batch of weight times value, a row's own elements (N, ...) summed."""
    return (weights * values.reshape(len(values), -1).sum(-1)).mean()


def _log_prior(priors: dict[str, TorchDistribution], latents: Draw) -> Tensor | float:
    if priors.keys() != latents.keys():
        raise StoryError(
            f"The guide samples {sorted(latents)} and priors() lists {sorted(priors)}: the closed "
            "form needs every global latent in priors(); or fit with objective='elbo'."
        )
    return sum(prior.log_prob(latents[name]).sum() for name, prior in priors.items())
