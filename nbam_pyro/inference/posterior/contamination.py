"""The share of some rows that is contaminated, with an interval."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from torch import Tensor

from nbam_pyro import functional as nf
from nbam_pyro.inference.posterior.draws import Scored
from nbam_pyro.inference.posterior.fit_result import Fit
from nbam_pyro.inference.posterior.label_posteriors import LabelPosteriors
from nbam_pyro.inference.posterior.scoring import explained, in_evaluation_mode, per_draw
from nbam_pyro.inference.variational.enumeration import log_joint
from nbam_pyro.inference.variational.guides import Draw
from nbam_pyro.outputs.share import NETWORK_ERROR, Share, ShareDraws
from nbam_pyro.verified import NOTHING, Verified


def contaminated_share(
    fit: Fit,
    x: Any,
    y: Any,
    *,
    verified: Verified = NOTHING,
    probability: float = 0.9,
    num_draws: int = 200,
    seed: int = 0,
) -> Share:
    """Estimate the share of these rows that is contaminated, with a central interval.

    The interval covers the uncertainty of the global latents, and of the switches given the
    latents. It also covers how far the network can be trusted, if the fit knows it (`fit.trust`);
    otherwise it is conditional on the fitted networks, which are point estimates. Networks may have
    memorised the labels of rows that they were trained on. For training rows,
    `fit.training_rows.share` is therefore the better estimate where
    `fit.training_rows.evidence` is "cross-fitted".

    Args:
        fit: Fitted story.
        x: Rows, (N, ...).
        y: Observed targets, (N,).
        verified: Verified switches or true labels of some rows; by default nothing is verified.
        probability: Posterior probability that the interval contains, for example 0.9.
        num_draws: Number of draws of the global latents.
        seed: Seed of the draws of the switches.

    Returns:
        The posterior mean of the share and the ends of the interval.

    Raises:
        DataError: The lengths of x and y differ, a value is missing or infinite, a label is out of
            range, or verified values contradict the targets.
    """
    fit = in_evaluation_mode(fit)

    def responsibility(rows: Scored, latents: Draw) -> Tensor:
        pair = log_joint(fit.story, rows.x, rows.y, latents, verified=rows.verified)
        return nf.responsibility(*pair)

    draws = ShareDraws(seed=seed)
    labels = explained(fit, x, y, num_draws=num_draws, verified=verified, drawn=True)
    each = (
        _of_labels(labels)
        if labels is not None
        else per_draw(fit, responsibility, x, y, num_draws=num_draws, verified=verified)
    )
    start = 0
    for r in each:
        # Without global latents every draw is the same, and only the switches differ.
        drawn = np.broadcast_to(r, (num_draws, *r.shape[1:]))
        known = verified[start : start + r.shape[1]].known.numpy() if len(verified) else None
        draws.add(drawn, known=known)
        start += r.shape[1]
    return draws.summary(probability=probability, error=None if labels is None else NETWORK_ERROR)


def _of_labels(found: Iterable[LabelPosteriors]) -> Iterator[np.ndarray]:
    """Yield the responsibilities at each draw, (S, n, *dims), part by part."""
    for one in found:
        if one.drawn is not None:
            yield one.drawn.responsibility.cpu().numpy()
