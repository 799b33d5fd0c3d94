"""Leave-one-out estimates of predictive density, for fits where they are valid."""

from typing import Any

import arviz_base
import arviz_stats
import numpy as np
from arviz_stats import ELPDData

from nbam_pyro.errors import DataError, StoryError
from nbam_pyro.inference.posterior.draws import point_estimates
from nbam_pyro.inference.posterior.fit_result import Fit
from nbam_pyro.inference.posterior.latents_tree import posterior_tree
from nbam_pyro.inference.posterior.row_posteriors import log_marginals
from nbam_pyro.verified import NOTHING, Verified


def loo(
    fit: Fit, x: Any, y: Any, *, verified: Verified = NOTHING, num_draws: int = 2000
) -> ELPDData:
    """Estimate the expected log predictive density (ELPD) by PSIS-LOO, without refitting.

    PSIS-LOO is leave-one-out cross-validation by Pareto-smoothed importance sampling: draws of the
    posterior are weighted again, to approximate the posterior without a row. This is valid only if
    every fitted number has a posterior. The weights of a trained network are a point estimate from
    all rows. For a trained network, the result would be the in-sample density, which is highest for
    a network that memorises. `compare_priors` refits instead.

    Args:
        fit: Fit of a story without trained parameters: a story on frozen features, a story with
            `last_layer`, or a story of components such as `LinearNormal`.
        x: Rows that the fit was made from, without held-out rows, (N, ...).
        y: Observed targets of these rows, (N,) or (N, *dims).
        verified: Verified switches or true labels of some rows; by default nothing is verified.
        num_draws: Number of draws of the global latents.

    Returns:
        The estimate as an object of ArviZ. Its `pareto_k` has the diagnostic k-hat of every row.
        The values of rows with a k-hat above 0.7 are not reliable.

    Raises:
        DataError: Some of the rows were held out from the fit.
        StoryError: The story has trained parameters or no global latents, or its posterior has too
            few different draws.

    Source: Vehtari et al. (2017, 2024).
    """
    trained = point_estimates(fit.story)
    if trained:
        raise StoryError(
            f"PSIS-LOO is not valid here: parameter {trained[0]!r} and {len(trained) - 1} more are "
            "point estimates that were trained on these rows, and point estimates cannot be "
            "weighted as if a row had been left out. Use compare_priors, which refits. Or freeze "
            "the features and give the weights a posterior, as LabelFlip(..., last_layer=1.0) and "
            "LinearNormal do."
        )
    if len(y) == len(fit.held_out) and fit.held_out.any():
        raise DataError(
            "Some of these rows were held out from the fit, so they cannot be left out of its "
            "posterior. Pass the other rows only, x[~fit.held_out], or fit with held_out=0."
        )
    tree = posterior_tree(fit, num_draws=num_draws)
    if not tree.posterior.data_vars:
        raise StoryError(
            f"{type(fit.story).__name__} has no global latents, so PSIS-LOO has no draws to "
            "weight. Use log_marginals for the log densities of the rows."
        )
    densities = log_marginals(fit, x, y, num_draws=num_draws, verified=verified)
    # The targets of one row are left out together.
    by_row = densities.reshape(*densities.shape[:2], -1).sum(-1)
    tree["log_likelihood"] = arviz_base.dict_to_dataset(
        {"y": by_row[None]}, dims={"y": ["row"]}, coords={"row": np.arange(len(y))}
    )
    try:
        with np.errstate(divide="ignore", invalid="ignore"):  # of tails without any scatter
            return arviz_stats.loo(tree, pointwise=True)
    except ValueError as error:  # ArviZ cannot smooth weights that are equal
        raise StoryError(
            "PSIS-LOO has too few different draws: for some row, the smallest densities are all "
            "equal. Use more draws (num_draws=), or compare_priors, which refits."
        ) from error
