"""Comparison of a guide with Markov chains of the same story."""

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
    """Compare the variational posterior of a guide with that of Markov chains, number by number.

    A mean-field guide has no correlations between latents. If latents are correlated, such as an
    intercept and a slope, the guide is too narrow. In this case try another family of guide with
    the argument `guide` of `fit`.

    Args:
        guide: Tree of the guide, from `to_datatree`.
        chains: Tree of the chains, from `nuts`, for the same rows.
        var_names: Names of the variables of the posterior to compare; None for all.

    Returns:
        One row for each number of the posterior. Numbers that are the same in all draws are left
        out. The columns are:

        * "mean_guide", "mean_chains", "sd_guide", "sd_chains": posterior means and standard
          deviations.
        * "shift": difference of the means, guide minus chains, in standard deviations of the
          chains.
        * "width": standard deviation of the guide divided by that of the chains.
        * "r_hat", "ess": r-hat and number of effective draws, in the group of chains where they are
          worst (see `nuts`). r-hat should be below 1.01, and the number above 400. Otherwise the
          chains are too short for a comparison.

    Raises:
        DataError: The two trees contain different numbers, for example because their class names
            differ, or the second tree does not come from `nuts`.
    """
    if "convergence" not in chains.children:
        raise DataError(
            "The tree of the chains has no group 'convergence'. Create it with nuts, and pass the "
            "tree of the guide first."
        )
    names = [str(v) for v in chains.posterior.data_vars] if var_names is None else list(var_names)
    one, other = _summary(guide, names), _summary(chains, names)
    if not one.index.equals(other.index):
        raise DataError(
            f"The two posteriors have different names, for example {one.index[0]!r} and "
            f"{other.index[0]!r}. Create both trees with the same class_names."
        )
    moving = other.index[other["sd"] > 0]
    one, other = one.loc[moving], other.loc[moving]
    converged = chains["convergence"].to_dataset().sel(number=list(moving))
    return pd.DataFrame(
        {
            "mean_guide": one["mean"],
            "mean_chains": other["mean"],
            "shift": (one["mean"] - other["mean"]) / other["sd"],
            "sd_guide": one["sd"],
            "sd_chains": other["sd"],
            "width": one["sd"] / other["sd"],
            "r_hat": converged["r_hat"].max("group").to_series(),
            "ess": converged["ess"].min("group").to_series(),
        }
    )


def _summary(tree: xr.DataTree, names: list[str]) -> pd.DataFrame:
    with np.errstate(invalid="ignore"):  # a diagonal that is 0 in every draw
        return arviz_stats.summary(tree, var_names=names, kind="stats", round_to="none")
