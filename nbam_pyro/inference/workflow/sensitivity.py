"""How much a posterior moves with its priors."""

from collections.abc import Sequence
from typing import Any

import arviz_stats
import numpy as np
import pandas as pd
import xarray as xr

from nbam_pyro.inference.posterior.datatree import named_numbers


def prior_sensitivity(tree: xr.DataTree, *, var_names: Sequence[str] | None = None) -> pd.DataFrame:
    """How much posteriors move when a prior, or the likelihood, is raised to a power near 1.

    Args:
        tree: from `to_datatree` or `nuts`.
        var_names: of the posterior to look at; None for all.

    Returns:
        One row per number of the posterior; a column for the prior of every site and one for the
        likelihood. Above 0.05 is sensitive. A number that the data say little about moves with
        its prior and not with the likelihood; one that moves with both is where they disagree.

    Source: power-scaling, Kallioinen et al. (2024), by ArviZ.
    """
    names = list(tree.posterior.data_vars) if var_names is None else list(var_names)
    moved = {"likelihood": _psense(tree, names, "likelihood", None)}
    for site in map(str, tree.log_prior.data_vars):
        prior = tree.log_prior[site]
        flat = bool(prior.max() == prior.min())  # a uniform prior has no power to raise
        moved[site] = 0 * moved["likelihood"] if flat else _psense(tree, names, "prior", site)
    return pd.DataFrame(moved)


def _psense(tree: xr.DataTree, names: list[str], group: str, site: str | None) -> pd.Series:
    sites = None if site is None else [site]
    with np.errstate(invalid="ignore"):  # of what never moves
        result = arviz_stats.psense(tree, var_names=names, group=group, group_var_names=sites)
    values = _entries(result, names)
    moves = _entries(tree.posterior.std(["chain", "draw"]), names) > 0  # not so where T is 0
    return values[moves]


def _entries(data: Any, names: Sequence[str]) -> pd.Series:
    """Every number of some variables, by its name and coordinates."""
    return pd.Series({name: float(value) for name, value in named_numbers(data, names)})
