"""A guide beside Markov chains of the same story: do they say the same?"""

from collections.abc import Sequence

import arviz_stats
import numpy as np
import pandas as pd
import xarray as xr

from nbam_pyro.errors import DataError

__all__ = ["guide_and_chains"]


def guide_and_chains(
    guide: xr.DataTree, chains: xr.DataTree, *, var_names: Sequence[str] | None = None
) -> pd.DataFrame:
    """Compare the posterior of a guide with that of NUTS, number by number.

    A mean-field guide has widths given everything else, which are too narrow where latents are
    correlated, such as an intercept and a slope; another `guide` of `fit` may follow.

    Args:
        guide: from `to_datatree`.
        chains: from `nuts`, on the same rows.
        var_names: of the posterior; None for all.

    Raises:
        DataError: the two have other classes or sites.

    Returns:
        One row per number, without those that never move: "mean" and "sd" of both, "shift", the
        difference of the means in standard deviations of the chains, "width", the ratio of
        standard deviations, guide to chains, and "r_hat" and "ess" of the chains, which should be
        below 1.01 and above 400 for the comparison to mean anything.
    """
    names = [str(v) for v in chains.posterior.data_vars] if var_names is None else list(var_names)
    one = _summary(guide, names, "stats")
    other = _summary(chains, names, "all")
    if not one.index.equals(other.index):
        raise DataError(
            f"The two posteriors name their numbers differently, such as {one.index[0]!r} and "
            f"{other.index[0]!r}: make both with the same class_names."
        )
    moving = other.index[other["sd"] > 0]
    one, other = one.loc[moving], other.loc[moving]
    return pd.DataFrame(
        {
            "mean_guide": one["mean"],
            "mean_chains": other["mean"],
            "shift": (one["mean"] - other["mean"]) / other["sd"],
            "sd_guide": one["sd"],
            "sd_chains": other["sd"],
            "width": one["sd"] / other["sd"],
            "r_hat": other["r_hat"],
            "ess": other["ess_bulk"],
        }
    )


def _summary(tree: xr.DataTree, names: list[str], kind: str) -> pd.DataFrame:
    with np.errstate(invalid="ignore"):  # of a diagonal that is 0 in every draw
        return arviz_stats.summary(tree, var_names=names, kind=kind, round_to="none")
