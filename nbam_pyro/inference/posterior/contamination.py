"""How much of some rows is contaminated."""

from typing import Any

import numpy as np
from torch import Tensor

from nbam_pyro import functional as nf
from nbam_pyro.inference.posterior.draws import Scored
from nbam_pyro.inference.posterior.fit_result import Fit
from nbam_pyro.inference.posterior.scoring import per_draw, settled
from nbam_pyro.inference.posterior.share import Share, share_of
from nbam_pyro.inference.variational.enumeration import log_joint
from nbam_pyro.inference.variational.guides import Draw
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
    """The share of these rows that is contaminated.

    Its spread is that of the global latents and of the switches given them; it is conditional on
    the fitted networks and, for rows that were trained on, in-sample.

    Args:
        fit: a fit.
        x: rows, (N, ...).
        y: observed targets, (N,).
        verified: what is verified of the rows, if anything.
        probability: of the interval.
        num_draws: of the global latents.
        seed: of the switches drawn.
    """
    fit = settled(fit)

    def of(rows: Scored, latents: Draw) -> Tensor:
        pair = log_joint(fit.story, rows.x, rows.y, latents, verified=rows.verified)
        return nf.responsibility(*pair)

    r = per_draw(fit, of, x, y, num_draws=num_draws, verified=verified)
    # Without global latents every draw is the same, and only the switches differ.
    r = np.broadcast_to(r, (num_draws, *r.shape[1:]))
    return share_of(r, probability=probability, seed=seed)
