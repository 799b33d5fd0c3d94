"""Draws from a story: of its global latents from the prior, and of targets given latents."""

import numpy as np
import torch
from pyro import poutine
from torch import Tensor

from nbam_pyro.inference.posterior.draws import Scored
from nbam_pyro.inference.variational.guides import Draw, each_draw, global_sites
from nbam_pyro.models import Story
from nbam_pyro.models.stories.sites import local_parameters
from nbam_pyro.training.contexts import evaluated, seeded

__all__ = ["log_priors", "predictive_draws", "prior_draws"]


def prior_draws(story: Story, rows: Scored, num_draws: int, *, seed: int = 0) -> Draw:
    """Draw the global latents from their prior, (S, ...) by site name.

    Args:
        story: Any story.
        rows: Rows of data, at least two. A story without a closed form is run on the first two.
        num_draws: Number of draws, S.
        seed: Seed of the draws. Torch's global random state is not changed.
    """
    few = rows.x[:2], rows.y[:2]
    with torch.no_grad(), seeded(seed):
        if (closed := story.closed_form) is not None:
            return {name: p.sample(torch.Size([num_draws])) for name, p in closed.priors().items()}
        traced = [global_sites(evaluated(story), *few, {}) for _ in range(num_draws)]
        return {name: torch.stack([one[name]["value"] for one in traced]) for name in traced[0]}


def log_priors(story: Story, rows: Scored, draws: Draw) -> dict[str, np.ndarray]:
    """Return the log prior density of every draw, a term for each global latent, (chains, draws).

    Args:
        story: Any story.
        rows: Rows of data, at least two. A story without a closed form is run on the first two.
        draws: Draws of the global latents by site name, (chains, draws, ...).
    """
    shape = next(iter(draws.values())).shape[:2]
    few = rows.x[:2], rows.y[:2]
    with torch.no_grad(), seeded(0):  # running the story also draws the sites of rows
        if (closed := story.closed_form) is not None:
            priors = closed.priors().items()
            terms = {n: p.log_prob(draws[n].cpu()).reshape(*shape, -1).sum(-1) for n, p in priors}
        else:
            flat = {name: value.flatten(end_dim=1) for name, value in draws.items()}
            singles = each_draw(flat, shape.numel())
            traced = [global_sites(evaluated(story), *few, one) for one in singles]
            terms = {n: torch.stack([s[n]["log_prob_sum"] for s in traced]) for n in draws}
    return {name: term.reshape(shape).numpy() for name, term in terms.items()}


def predictive_draws(
    story: Story, rows: Scored, draws: Draw, num_draws: int, *, seed: int = 0
) -> np.ndarray:
    """Draw targets of the rows at each draw of the global latents, (1, S, N, *dims).

    Args:
        story: Any story.
        rows: Rows whose targets are drawn. Their observed targets are not used.
        draws: Draws of the global latents by site name, (S, ...); empty for a story without global
            latents.
        num_draws: Number of draws, S.
        seed: Seed of the draws of targets. Torch's global random state is not changed.
    """

    def draw(latents: Draw) -> Tensor:
        parts = [_targets(story, part, latents) for part in rows.parts()]
        return torch.cat(parts).cpu()

    with seeded(seed):
        return torch.stack([draw(one) for one in each_draw(draws, num_draws)])[None].numpy()


def _targets(story: Story, rows: Scored, latents: Draw) -> Tensor:
    """Draw targets of rows given one draw of the global latents."""
    with torch.no_grad(), local_parameters():
        conditioned = poutine.condition(evaluated(story), data=latents)
        return conditioned(rows.x, None, num_data=len(rows.x))
