"""Two objectives with the same value: one from the closed form of a story, one by enumeration.

Both are -ELBO / num_data, estimated on a mini-batch at one draw of the global latents:

    mean over the batch of -log p(y | x, latents)  +  (log q(latents) - log p(latents)) / num_data

A row of weight w counts as w rows. The log marginal of a row with several elements is the sum over
its elements. The log marginal of a verified row includes the verified switch or true label.
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
    """A training loss of mini-batches."""

    def __call__(self, batch: Batch, num_data: int) -> Tensor:
        """Return the loss of a batch, a scalar.

        Args:
            batch: Rows of the batch.
            num_data: Number of training rows that batches are drawn from.
        """


class ClosedObjective:
    """The objective from the closed form: `log_joint` returns the log joint of both switch states.

    Args:
        story: Story with a closed form.
        guide: Guide of the global latents of the story.
        num_draws: Number of draws of the global latents that each value is averaged over.

    Raises:
        StoryError: The story has no closed form.
    """

    def __init__(self, story: Story, guide: nn.Module, *, num_draws: int = 1) -> None:
        if story.closed_form is None:
            raise StoryError(
                f"{type(story).__name__} has no closed form. Fit it with objective='elbo'."
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
    """The objective by enumeration: Pyro's `TraceEnum_ELBO` of the story. Every row counts once.

    Args:
        story: Story of any kind.
        guide: Guide of the global latents of the story.
        num_draws: Number of draws of the global latents that each value is averaged over.
    """

    def __init__(self, story: Story, guide: nn.Module, *, num_draws: int = 1) -> None:
        self.story = story
        nesting = 1 + len(story.dims)
        with local_parameters():
            elbo = TraceEnum_ELBO(num_particles=num_draws, max_plate_nesting=nesting)
            self.elbo = elbo(story, guide)

    def __call__(self, batch: Batch, num_data: int) -> Tensor:
        x, y, _, verified = batch  # pyro.poutine.scale of single rows fails with enumeration
        with local_parameters(), with_verified(self.story, verified):
            return self.elbo(x, y, num_data=num_data, **verified.keyword) / num_data


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Return the mean over the batch of weight times value, summed over the elements of a row.

    Args:
        values: Values, (N, *dims).
        weights: Number of times that each row counts, (N,).
    """
    return (weights * values.reshape(len(values), -1).sum(-1)).mean()


def _log_prior(priors: dict[str, TorchDistribution], latents: Draw) -> Tensor | float:
    """Return the log prior density of a draw, and raise a `StoryError` if sites are missing."""
    if priors.keys() != latents.keys():
        raise StoryError(
            f"The guide samples the sites {sorted(latents)}, but priors() of the story lists "
            f"{sorted(priors)}. The closed form needs every global latent in priors(): add the "
            "missing ones, or fit with objective='elbo'."
        )
    return sum(prior.log_prob(latents[name]).sum() for name, prior in priors.items())
