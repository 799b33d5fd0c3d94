"""Draws from a story: of its global latents from the prior, and of targets given latents."""

from typing import Any

import numpy as np
import torch
from pyro import poutine
from pyro.poutine.util import prune_subsample_sites
from torch import Tensor

from nbam_pyro.inference.posterior.draws import Scored
from nbam_pyro.inference.variational.guides import Draw, each_draw, is_local
from nbam_pyro.models import Story
from nbam_pyro.models.stories.sites import local_parameters
from nbam_pyro.training.contexts import evaluated, seeded

__all__ = ["log_priors", "predictive_draws", "prior_draws"]


def prior_draws(story: Story, rows: Scored, num_draws: int, *, seed: int = 0) -> Draw:
    """Draws of the global latents from their prior, (S, ...) by site name.

    Args:
        story: any story.
        rows: a few will do; a story without a closed form is run on two of them.
        num_draws: S.
        seed: of the draws; torch's global random state is left as it was.
    """
    with torch.no_grad(), seeded(seed):
        if (closed := story.closed_form) is not None:
            return {name: p.sample(torch.Size([num_draws])) for name, p in closed.priors().items()}
        traced = [_global_sites(story, rows, {}) for _ in range(num_draws)]
        return {name: torch.stack([one[name]["value"] for one in traced]) for name in traced[0]}


def log_priors(story: Story, rows: Scored, draws: Draw) -> dict[str, np.ndarray]:
    """The log prior of every draw, a term for every global latent, (chains, draws).

    Args:
        story: any story.
        rows: a few will do.
        draws: by site name, (chains, draws, ...).
    """
    shape = next(iter(draws.values())).shape[:2]
    with torch.no_grad(), seeded(0):  # sites of data are drawn on the way
        if (closed := story.closed_form) is not None:
            priors = closed.priors().items()
            terms = {n: p.log_prob(draws[n].cpu()).reshape(*shape, -1).sum(-1) for n, p in priors}
        else:
            flat = {name: value.flatten(end_dim=1) for name, value in draws.items()}
            singles = each_draw(flat, shape.numel())
            traced = [_global_sites(story, rows, one) for one in singles]
            terms = {n: torch.stack([s[n]["log_prob_sum"] for s in traced]) for n in draws}
    return {name: term.reshape(shape).numpy() for name, term in terms.items()}


def predictive_draws(
    story: Story, rows: Scored, draws: Draw, num_draws: int, *, seed: int = 0
) -> np.ndarray:
    """Targets of the same rows drawn given each draw of the global latents, (1, S, N, ...).

    Args:
        story: any story.
        rows: whose targets to draw.
        draws: of the global latents by site name, (S, ...); none where a story has none.
        num_draws: S.
        seed: of the draws; torch's global random state is left as it was.
    """

    def draw(latents: Draw) -> Tensor:
        parts = [_targets(story, part, latents) for part in rows.parts()]
        return torch.cat(parts).cpu()

    with seeded(seed):
        return torch.stack([draw(one) for one in each_draw(draws, num_draws)])[None].numpy()


def _targets(story: Story, rows: Scored, latents: Draw) -> Tensor:
    with torch.no_grad(), local_parameters():
        told = poutine.condition(evaluated(story), data=latents)
        return told(rows.x, None, num_data=len(rows.x))


def _global_sites(story: Story, rows: Scored, latents: Draw) -> dict[str, Any]:
    """Pyro's record of every global latent, drawn from the prior where not given."""
    told = poutine.block(poutine.condition(evaluated(story), data=latents), hide_fn=is_local)
    with local_parameters():
        trace = prune_subsample_sites(poutine.trace(told).get_trace(rows.x[:2], rows.y[:2]))
    trace.compute_log_prob()
    sites: dict[str, Any] = trace.nodes
    return {name: site for name, site in sites.items() if site["type"] == "sample"}
