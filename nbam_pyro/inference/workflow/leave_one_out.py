"""Leave-one-out estimates, where they are safe."""

from typing import Any

import arviz_base
import arviz_stats
import numpy as np
from arviz_stats import ELPDData

from nbam_pyro.errors import DataError, StoryError
from nbam_pyro.inference.posterior.datatree import posterior_tree
from nbam_pyro.inference.posterior.fit_result import Fit
from nbam_pyro.inference.posterior.row_posteriors import log_marginals
from nbam_pyro.verified import NOTHING, Verified


def loo(
    fit: Fit, x: Any, y: Any, *, verified: Verified = NOTHING, num_draws: int = 2000
) -> ELPDData:
    """PSIS-LOO of a fit whose every fitted number has a posterior, with its k-hat diagnostics.

    Leaving a row out by re-weighing draws needs draws of whatever the row has moved. The weights
    of a trained network are a point estimate that has seen all rows: the result would be the
    in-sample density, and prefer whatever memorises. `compare_priors` refits instead.

    Args:
        fit: of a story without trained parameters: on frozen features, with `last_layer`, or of
            components such as `LinearNormal`.
        x: the rows it was fitted to.
        y: their targets.
        verified: what is verified of them, if anything.
        num_draws: of the global latents.

    Returns:
        ArviZ's estimate; `pareto_k` has k-hat of every row, of which those above 0.7 are not to
        be trusted.

    Raises:
        DataError: some of the rows were held out from the fit.
        StoryError: the story has parameters that were trained on these rows.

    Source: Vehtari et al. (2017, 2024).
    """
    trained = [name for name, p in fit.story.named_parameters() if p.requires_grad]
    if trained:
        raise StoryError(
            f"PSIS-LOO is unsafe here: {trained[0]!r} and {len(trained) - 1} more are point "
            "estimates that have seen these rows, so that leaving one out changes nothing. Use "
            "compare_priors, which refits; or freeze the features and give the weights a "
            "posterior, as LabelFlip(..., last_layer=1.0) and LinearNormal do."
        )
    if len(y) == len(fit.held_out) and fit.held_out.any():
        raise DataError(
            "Some of these rows were held out, have not moved the posterior and cannot be left out "
            "of it: give the others, x[~fit.held_out], or fit with held_out=0."
        )
    tree = posterior_tree(fit, num_draws=num_draws)
    if not tree.posterior.data_vars:
        raise StoryError(
            f"{type(fit.story).__name__} has no global latents: leaving a row out changes nothing, "
            "and its density is that of log_marginals."
        )
    densities = log_marginals(fit, x, y, num_draws=num_draws, verified=verified)
    # The elements of a row are left out together.
    by_row = densities.reshape(*densities.shape[:2], -1).sum(-1)
    tree["log_likelihood"] = arviz_base.dict_to_dataset(
        {"y": by_row[None]}, dims={"y": ["row"]}, coords={"row": np.arange(len(y))}
    )
    return arviz_stats.loo(tree, pointwise=True)
