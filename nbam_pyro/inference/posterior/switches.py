"""Draws and the most probable values of the switches of any rows."""

from typing import Any

import numpy as np
import torch
from pyro import poutine
from pyro.infer import infer_discrete
from torch import Tensor

from nbam_pyro.inference.posterior.draws import Scored
from nbam_pyro.inference.posterior.fit_result import Fit
from nbam_pyro.inference.posterior.scoring import explained, in_evaluation_mode, scored_rows
from nbam_pyro.inference.variational.enumeration import first_enumerated_dim, with_verified
from nbam_pyro.inference.variational.guides import Draw, each_draw, guide_draws, guide_median
from nbam_pyro.models.stories.sites import local_parameters
from nbam_pyro.training.contexts import seeded
from nbam_pyro.verified import NOTHING, Verified

__all__ = ["switch_draws", "switch_map"]

# Number of draws of the explanations from which the most probable switches are computed.
_DRAWS = 100


def switch_draws(
    fit: Fit,
    x: Any,
    y: Any,
    *,
    num_draws: int = 100,
    seed: int = 0,
    most_probable: bool = False,
    verified: Verified = NOTHING,
) -> np.ndarray:
    """Draw the switches of all rows from their joint posterior.

    Each draw of the global latents comes from the guide. The story is conditioned on this draw and
    run under Pyro's `infer_discrete`. (`Predictive` around `infer_discrete` would draw the latents
    from the prior instead.) If the fit knows how far its network can be trusted (`fit.trust`), each
    draw also has an explanation of the labels. Given both, the switches are independent, and are
    drawn from their probabilities.

    Args:
        fit: Fitted story.
        x: Rows, (N, ...).
        y: Observed targets, (N,) or (N, *dims).
        num_draws: Number of draws, S.
        seed: Seed of the draws. Torch's global random state is not changed.
        most_probable: Whether to take the most probable switches given each draw of the global
            latents, instead of sampling them.
        verified: Verified switches or true labels of some rows; by default nothing is verified.

    Returns:
        Booleans that are true where a target is contaminated, (S, N) or (S, N, *dims).

    Raises:
        DataError: The rows are invalid (see `responsibilities`).
    """
    fit = in_evaluation_mode(fit)
    labels = explained(fit, x, y, num_draws=num_draws, verified=verified, seed=seed, drawn=True)
    if labels is not None:
        with seeded(seed):
            parts = [
                _switches(one.drawn.responsibility, most_probable)
                for one in labels
                if one.drawn is not None
            ]
        return torch.cat(parts, 1).cpu().numpy()
    rows = scored_rows(fit, x, y, verified)
    draws = guide_draws(fit.guide, num_draws, seed=seed)
    with torch.no_grad(), seeded(seed):
        singles = each_draw(draws, num_draws)
        return np.stack([_discrete(fit, rows, one, most_probable) for one in singles])


def switch_map(fit: Fit, x: Any, y: Any, *, verified: Verified = NOTHING) -> np.ndarray:
    """Return the most probable switches.

    They are those at the guide's median, by Pyro's `infer_discrete`. If the fit knows how far its
    network can be trusted (`fit.trust`), they are those of the average over its explanations.

    Args:
        fit: Fitted story.
        x: Rows, (N, ...).
        y: Observed targets, (N,) or (N, *dims).
        verified: Verified switches or true labels of some rows; by default nothing is verified.

    Returns:
        Booleans that are true where a target is contaminated, (N,) or (N, *dims).

    Raises:
        DataError: The rows are invalid (see `responsibilities`).
    """
    fit = in_evaluation_mode(fit)
    labels = explained(fit, x, y, num_draws=_DRAWS, verified=verified)
    if labels is not None:
        return torch.cat([one.responsibility > 0.5 for one in labels]).cpu().numpy()
    with torch.no_grad():
        rows = scored_rows(fit, x, y, verified)
        return _discrete(fit, rows, guide_median(fit.guide), True)


def _switches(responsibility: Tensor, most_probable: bool) -> Tensor:
    """Return drawn or most probable switches given their probabilities."""
    if most_probable:
        return responsibility > 0.5
    return torch.rand_like(responsibility) < responsibility


def _discrete(fit: Fit, rows: Scored, latents: Draw, most_probable: bool) -> np.ndarray:
    """Return sampled or most probable switches given one draw of the global latents."""
    x, y, verified = rows
    conditioned = poutine.condition(fit.story, data=latents)
    sampler = infer_discrete(
        conditioned,
        first_available_dim=first_enumerated_dim(fit.story),
        temperature=0 if most_probable else 1,
    )
    with local_parameters(), with_verified(fit.story, verified):
        trace = poutine.trace(sampler).get_trace(x, y, num_data=len(x), **verified.keyword)
    states = {
        name: site["value"]
        for name, site in trace.iter_stochastic_nodes()
        if site["infer"].get("enumerate")
    }
    # infer_discrete squeezes a batch of one row to shape ().
    shape = fit.story.per_switch(y).shape
    return fit.story.contaminated(states).expand(shape).cpu().numpy()
