"""What a fit says about rows: every posterior is a function of a `Fit`.

Probabilities average over draws of the global latents; networks are point estimates, so all of
this is conditional on them.
"""

import warnings
from typing import Any

import numpy as np
import torch
from pyro import poutine
from pyro.distributions import Categorical
from pyro.infer import infer_discrete
from torch import Tensor

from nbam_pyro import functional as nf
from nbam_pyro.errors import StoryError, SupportWarning
from nbam_pyro.inference.posterior.draws import Scored
from nbam_pyro.inference.posterior.fit_result import Fit
from nbam_pyro.inference.posterior.scoring import (
    at_median,
    mean_over_draws,
    per_draw,
    scored_rows,
    settled,
)
from nbam_pyro.inference.variational.enumeration import (
    first_enumerated_dim,
    log_joint,
    switch_logits,
)
from nbam_pyro.inference.variational.guides import (
    Draw,
    each_draw,
    guide_draws,
    guide_median,
)
from nbam_pyro.models import LatentLabelStory
from nbam_pyro.models.stories.sites import local_parameters
from nbam_pyro.training.contexts import seeded
from nbam_pyro.verified import NOTHING, Verified

__all__ = [
    "latent_label_of",
    "log_marginals",
    "occam_penalties",
    "predict",
    "prior_contamination",
    "responsibilities",
    "switch_draws",
    "switch_map",
    "true_label_posterior",
]


def responsibilities(
    fit: Fit, x: Any, y: Any, *, num_draws: int = 100, verified: Verified = NOTHING
) -> np.ndarray:
    """P(z=1 | x, y) of every row, averaged over the posterior of the global latents.

    Args:
        fit: a fit.
        x: rows, (N, ...); one row will do.
        y: observed targets, (N,).
        num_draws: draws of the global latents.
        verified: what is verified of the rows, if anything.

    Returns:
        Probabilities, (N,), of verified rows exactly 0 or 1. A measurement outside a stated range
        has responsibility 1.

    Raises:
        DataError: lengths differ, a value is missing or infinite, a label is out of range, or what
            is verified contradicts the targets or itself.
        StoryError: the story does not hear what is verified.
    """
    fit = settled(fit)

    def of(rows: Scored, latents: Draw) -> Tensor:
        return nf.responsibility(*_pair(fit, rows, latents))

    values = mean_over_draws(fit, of, x, y, num_draws=num_draws, verified=verified)
    outside = at_median(fit, lambda rows, one: fit.story.outside(rows.x, rows.y, one), x, y)
    if len(verified):
        outside &= verified.contaminated.numpy() < 0
        values = np.where(verified.contaminated.numpy() > 0, 1.0, values)
    if outside.any():
        warnings.warn(
            f"{int(outside.sum())} targets lie outside the range of the anomaly likelihood; "
            "they count as contaminated (responsibility 1).",
            SupportWarning,
            stacklevel=2,
        )
    return np.where(outside, 1.0, values)


def prior_contamination(fit: Fit, x: Any, *, num_draws: int = 100) -> np.ndarray:
    """P(z=1 | x) before the target is seen, averaged over the posterior of the global latents.

    What is known about the contamination of an unlabelled row.

    Args:
        fit: a fit.
        x: rows, (N, ...).
        num_draws: draws of the global latents.

    Returns:
        Probabilities, (N,), or (N, *dims).

    Raises:
        DataError: a value is missing or infinite, or the rows are of another kind.
    """
    fit = settled(fit)

    def of(rows: Scored, latents: Draw) -> Tensor:
        return switch_logits(fit.story, rows.x, rows.y, latents).sigmoid()

    return mean_over_draws(fit, of, x, None, num_draws=num_draws)


def log_marginals(
    fit: Fit, x: Any, y: Any, *, num_draws: int = 100, verified: Verified = NOTHING
) -> np.ndarray:
    """log p(y | x, latents) with the switch summed out, one row per draw, (S, N), in nats.

    Of a verified row it is log p(y, z | x, latents) or log p(y, c | x, latents).
    """
    fit = settled(fit)

    def of(rows: Scored, latents: Draw) -> Tensor:
        return nf.log_marginal(*_pair(fit, rows, latents))

    return per_draw(fit, of, x, y, num_draws=num_draws, verified=verified)


def occam_penalties(fit: Fit, x: Any, y: Any, *, verified: Verified = NOTHING) -> np.ndarray:
    """What flagging costs each row, KL(Bernoulli(r) || Bernoulli(pi)), (N,), in nats.

    Taken at the guide's median, where log p(y | x) = (1-r) log p_clean + r log q_anomaly - occam
    holds exactly. A row whose switch is verified pays the whole surprise, -log p(z | x).
    """
    fit = settled(fit)

    def of(rows: Scored, latents: Draw) -> Tensor:
        prior = switch_logits(fit.story, rows.x, rows.y, latents)
        return nf.occam_penalty(prior, *_pair(fit, rows, latents))

    return at_median(fit, of, x, y, verified=verified)


def true_label_posterior(
    fit: Fit, x: Any, y: Any, *, num_draws: int = 100, verified: Verified = NOTHING
) -> np.ndarray:
    """The corrected label p(c | x, y), (N, K), exact where it is verified.

    Raises:
        StoryError: the story has no latent true label.
    """
    fit = settled(fit)
    story = latent_label_of(fit)

    def of(rows: Scored, latents: Draw) -> Tensor:
        known = rows.verified.keyword
        return story.true_label_log_posterior(rows.x, rows.y, latents, **known).exp()

    return mean_over_draws(fit, of, x, y, num_draws=num_draws, verified=verified)


def predict(fit: Fit, x: Any) -> np.ndarray:
    """The clean predictor: class probabilities f (N, K), else means (N,), or (N, *dims).

    For `LabelFlip` that is f = p(c | x), not the clean likelihood p(y | z=0, x).

    Raises:
        StoryError: The story does not declare a clean predictor.
    """
    fit = settled(fit)

    def of(rows: Scored, latents: Draw) -> Tensor:
        predictor = fit.story.clean_predictor(rows.x, latents)
        return predictor.probs if isinstance(predictor, Categorical) else predictor.mean

    return at_median(fit, of, x)


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
    """Switches drawn from their joint posterior by Pyro's `infer_discrete`, (S, N) booleans.

    Each draw of the global latents comes from the guide and is replayed under `infer_discrete`, so
    that switches are conditioned on it. (`Predictive` around `infer_discrete` draws the latents
    from the prior instead.)

    Args:
        fit: a fit.
        x: rows, (N, ...).
        y: observed targets, (N,).
        num_draws: how many draws.
        seed: of the draws; torch's global random state is left as it was.
        most_probable: take the most probable switches given each draw instead of sampling them.
        verified: what is verified of the rows, if anything.
    """
    fit = settled(fit)
    rows = scored_rows(fit, x, y, verified)
    draws = guide_draws(fit.guide, num_draws, seed=seed)
    with torch.no_grad(), seeded(seed):
        singles = each_draw(draws, num_draws)
        return np.stack([_discrete(fit, rows, one, most_probable) for one in singles])


def switch_map(fit: Fit, x: Any, y: Any, *, verified: Verified = NOTHING) -> np.ndarray:
    """The most probable switches at the guide's median, by `infer_discrete`, (N,) booleans."""
    fit = settled(fit)
    with torch.no_grad():
        rows = scored_rows(fit, x, y, verified)
        return _discrete(fit, rows, guide_median(fit.guide), True)


def _discrete(fit: Fit, rows: Scored, latents: Draw, most_probable: bool) -> np.ndarray:
    x, y, verified = rows
    conditioned = poutine.condition(fit.story, data=latents)
    sampler = infer_discrete(
        conditioned,
        first_available_dim=first_enumerated_dim(fit.story),
        temperature=0 if most_probable else 1,
    )
    with local_parameters():
        trace = poutine.trace(sampler).get_trace(x, y, num_data=len(x), **verified.keyword)
    states = {
        name: site["value"]
        for name, site in trace.iter_stochastic_nodes()
        if site["infer"].get("enumerate")
    }
    # infer_discrete squeezes a batch of one to shape ().
    return fit.story.contaminated(states).expand(y.shape).cpu().numpy()


def _pair(fit: Fit, rows: Scored, latents: Draw) -> tuple[Tensor, Tensor]:
    return log_joint(fit.story, rows.x, rows.y, latents, verified=rows.verified)


def latent_label_of(fit: Fit) -> LatentLabelStory:
    """The fit's story, if it has a latent true label.

    Raises:
        StoryError: The story has no latent true label.
    """
    story = fit.story.latent_label
    if story is None:
        raise StoryError(
            f"{type(fit.story).__name__} has no latent true label; fit a LabelFlip for that."
        )
    return story
