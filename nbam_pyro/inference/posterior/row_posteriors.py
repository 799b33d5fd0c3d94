"""Posteriors of any rows, as functions of a `Fit`.

Probabilities are averaged over draws of the global latents. The networks are point estimates, so
all results are conditional on them. Probabilities that labels are wrong are also averaged over how
far the network can be trusted, if the fit knows it (`Fit.trust`).
"""

import warnings
from typing import Any

import numpy as np
import torch
from pyro.distributions import Categorical
from torch import Tensor

from nbam_pyro import functional as nf
from nbam_pyro.errors import StoryError, SupportWarning
from nbam_pyro.inference.posterior.draws import Scored
from nbam_pyro.inference.posterior.fit_result import Fit
from nbam_pyro.inference.posterior.scoring import (
    at_median,
    explained,
    in_evaluation_mode,
    mean_over_draws,
    per_draw,
)
from nbam_pyro.inference.variational.enumeration import log_joint, switch_logits, with_verified
from nbam_pyro.inference.variational.guides import Draw
from nbam_pyro.models import LatentLabelStory
from nbam_pyro.verified import NOTHING, Verified

__all__ = [
    "latent_label_of",
    "log_marginals",
    "occam_penalties",
    "predict",
    "prior_contamination",
    "responsibilities",
    "true_label_posterior",
]


def responsibilities(
    fit: Fit, x: Any, y: Any, *, num_draws: int = 100, verified: Verified = NOTHING
) -> np.ndarray:
    """Return P(z=1 | x, y) of any rows: the probability that the target of a row is contaminated.

    The final network of the fit scores the rows. If the fit knows how far it can be trusted
    (`fit.trust`), the result is an average over it, as for the training rows: over the sharpness of
    the predictions, and over the explanation that no label is wrong.

    The network may have memorised the labels of its training
    rows. Wrong labels of training rows can therefore look correct. For those rows use
    `fit.training_rows.responsibility`. Where `fit.training_rows.evidence` is "cross-fitted", those
    values use predictions of networks that have not seen the label of the row.

    Args:
        fit: Fitted story.
        x: Rows, (N, ...). A single row, (1, ...), is allowed.
        y: Observed targets, (N,) or (N, *dims).
        num_draws: Number of draws of the global latents, over which probabilities are averaged.
        verified: Verified switches or true labels of some rows; by default nothing is verified.

    Returns:
        Probabilities, (N,) or (N, *dims). A verified row has exactly 0 or 1. A measurement outside
        the stated range of the anomaly likelihood has 1, and the function gives a `SupportWarning`.

    Raises:
        DataError: The lengths of x and y differ, a value is missing or infinite, a label is out of
            range, or verified values contradict the targets or each other.
        StoryError: The story has no `verified` argument, but verified values are given.
    """
    fit = in_evaluation_mode(fit)

    def responsibility(rows: Scored, latents: Draw) -> Tensor:
        return nf.responsibility(*_log_joint(fit, rows, latents))

    values = mean_over_draws(
        fit,
        responsibility,
        x,
        y,
        labels=lambda found: found.responsibility,
        num_draws=num_draws,
        verified=verified,
    )
    values = _of_verified(values, verified)
    if fit.story.latent_label is not None:  # every label has a range
        return values
    outside = at_median(fit, lambda rows, one: fit.story.outside(rows.x, rows.y, one), x, y)
    if len(verified):
        outside &= verified.contaminated.numpy() < 0
    if outside.any():
        warnings.warn(
            f"{int(outside.sum())} targets lie outside the range of the anomaly likelihood. They "
            "count as contaminated (responsibility 1). Check their units, or state a wider range.",
            SupportWarning,
            stacklevel=2,
        )
    return np.where(outside, 1.0, values)


def prior_contamination(fit: Fit, x: Any, *, num_draws: int = 100) -> np.ndarray:
    """Return P(z=1 | x): the probability of contamination of rows whose targets are unknown.

    It is an average over `fit.trust`, as in `responsibilities`.

    Args:
        fit: Fitted story.
        x: Rows, (N, ...).
        num_draws: Number of draws of the global latents, over which probabilities are averaged.

    Returns:
        Probabilities, (N,) or (N, *dims).

    Raises:
        DataError: A value is missing or infinite, or the rows are of another kind than those of
            the fit.
    """
    fit = in_evaluation_mode(fit)

    def prior(rows: Scored, latents: Draw) -> Tensor:
        return switch_logits(fit.story, rows.x, rows.y, latents).sigmoid()

    return mean_over_draws(
        fit, prior, x, None, labels=lambda found: found.prior, num_draws=num_draws
    )


def log_marginals(
    fit: Fit, x: Any, y: Any, *, num_draws: int = 100, verified: Verified = NOTHING
) -> np.ndarray:
    """Return log p(y | x, latents) at each draw of the global latents, in nats.

    The switch z, which is 1 for a contaminated target, is summed out. For a row with a verified
    switch the value is log p(y, z | x, latents). For a row with a verified true label c it is log
    p(y, c | x, latents).

    Args:
        fit: Fitted story.
        x: Rows, (N, ...).
        y: Observed targets, (N,) or (N, *dims).
        num_draws: Number of draws of the global latents, S.
        verified: Verified switches or true labels of some rows; by default nothing is verified.

    Returns:
        Log densities, (S, N) or (S, N, *dims). S is 1 for a story without global latents.

    Raises:
        DataError: The rows are invalid (see `responsibilities`).
    """
    fit = in_evaluation_mode(fit)

    def log_marginal(rows: Scored, latents: Draw) -> Tensor:
        return nf.log_marginal(*_log_joint(fit, rows, latents))

    each = per_draw(fit, log_marginal, x, y, num_draws=num_draws, verified=verified)
    return np.concatenate(list(each), 1)


def occam_penalties(fit: Fit, x: Any, y: Any, *, verified: Verified = NOTHING) -> np.ndarray:
    """Return the Occam penalty of each row, KL(Bernoulli(r) || Bernoulli(pi)), in nats.

    The penalty is the part of the log marginal that a row loses because its responsibility r
    differs from the prior probability of contamination pi. Both are computed at the guide's median,
    where log p(y | x) = (1-r) log p_clean + r log q_anomaly - penalty holds exactly. The penalty of
    a row whose switch is verified is -log p(z | x).

    Args:
        fit: Fitted story.
        x: Rows, (N, ...).
        y: Observed targets, (N,) or (N, *dims).
        verified: Verified switches or true labels of some rows; by default nothing is verified.

    Returns:
        Penalties, (N,) or (N, *dims).

    Raises:
        DataError: The rows are invalid (see `responsibilities`).
    """
    fit = in_evaluation_mode(fit)

    def penalty(rows: Scored, latents: Draw) -> Tensor:
        prior = switch_logits(fit.story, rows.x, rows.y, latents)
        return nf.occam_penalty(prior, *_log_joint(fit, rows, latents))

    return at_median(fit, penalty, x, y, verified=verified)


def true_label_posterior(
    fit: Fit, x: Any, y: Any, *, num_draws: int = 100, verified: Verified = NOTHING
) -> np.ndarray:
    """Return p(c | x, y), the probability of each true class c given the observed label.

    As in `responsibilities`, the final network scores the rows, and the result is an average over
    `fit.trust`. Use `fit.training_rows.true_label`
    for the rows that the fit was made from.

    Args:
        fit: Fit of a story with a latent true label, such as `LabelFlip`.
        x: Rows, (N, ...).
        y: Observed labels, (N,) or (N, *dims).
        num_draws: Number of draws of the global latents, over which probabilities are averaged.
        verified: Verified switches or true labels of some rows; by default nothing is verified.

    Returns:
        Probabilities, (N, K) or (N, *dims, K). A verified true label has probability 1.

    Raises:
        DataError: The rows are invalid (see `responsibilities`).
        StoryError: The story has no latent true label.
    """
    fit = in_evaluation_mode(fit)
    story = latent_label_of(fit)

    def posterior(rows: Scored, latents: Draw) -> Tensor:
        known = rows.verified.keyword
        with with_verified(story, rows.verified):
            return story.true_label_log_posterior(rows.x, rows.y, latents, **known).exp()

    return mean_over_draws(
        fit,
        posterior,
        x,
        y,
        labels=lambda found: found.true_label,
        num_draws=num_draws,
        verified=verified,
    )


def label_scores(
    fit: Fit, x: Any, y: Any, *, num_draws: int = 100, verified: Verified = NOTHING
) -> tuple[np.ndarray, np.ndarray]:
    """Return the results of `responsibilities` and `true_label_posterior` of the same rows.

    The networks run once if the fit has explanations of the labels. The arguments and errors are
    those of `true_label_posterior`.
    """
    fit = in_evaluation_mode(fit)
    latent_label_of(fit)
    found = explained(fit, x, y, num_draws=num_draws, verified=verified)
    if found is None:
        return (
            responsibilities(fit, x, y, num_draws=num_draws, verified=verified),
            true_label_posterior(fit, x, y, num_draws=num_draws, verified=verified),
        )
    parts = [(one.responsibility.cpu(), one.true_label.cpu()) for one in found]
    r, true_label = (torch.cat(values).numpy() for values in zip(*parts, strict=True))
    return _of_verified(r, verified), true_label


def _of_verified(r: np.ndarray, verified: Verified) -> np.ndarray:
    """Return responsibilities that are exactly 1 where a target is verified as contaminated."""
    return np.where(verified.contaminated.numpy() > 0, 1.0, r) if len(verified) else r


def predict(fit: Fit, x: Any) -> np.ndarray:
    """Return the prediction of the clean predictor at the guide's median.

    For classes these are probabilities. For `LabelFlip` they are f = p(c | x), the probabilities of
    each true class c, not p(y | z=0, x) of a clean observed label. For measurements they are means.

    Args:
        fit: Fitted story.
        x: Rows, (N, ...).

    Returns:
        Class probabilities, (N, K), or means, (N,); with dimensions (N, *dims) instead of (N,)
        where a row has several targets.

    Raises:
        DataError: A value is missing or infinite, or the rows are of another kind than those of
            the fit.
        StoryError: The story does not declare a clean predictor.
    """
    fit = in_evaluation_mode(fit)

    def prediction(rows: Scored, latents: Draw) -> Tensor:
        predictor = fit.story.clean_predictor(rows.x, latents)
        return predictor.probs if isinstance(predictor, Categorical) else predictor.mean

    return at_median(fit, prediction, x)


def _log_joint(fit: Fit, rows: Scored, latents: Draw) -> tuple[Tensor, Tensor]:
    return log_joint(fit.story, rows.x, rows.y, latents, verified=rows.verified)


def latent_label_of(fit: Fit) -> LatentLabelStory:
    """Return the story of a fit, if it has a latent true label.

    Raises:
        StoryError: The story has no latent true label.
    """
    story = fit.story.latent_label
    if story is None:
        raise StoryError(
            f"{type(fit.story).__name__} has no latent true label, which this function needs. Fit "
            "a LabelFlip instead."
        )
    return story
