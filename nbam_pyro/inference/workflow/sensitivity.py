"""Sensitivity of posteriors to their priors."""

from collections.abc import Sequence
from typing import Any

import arviz_stats
import numpy as np
import pandas as pd
import xarray as xr

from nbam_pyro.inference.posterior.latents_tree import named_numbers


def prior_sensitivity(tree: xr.DataTree, *, var_names: Sequence[str] | None = None) -> pd.DataFrame:
    """Estimate how much posteriors change when a prior or the likelihood is raised to a power.

    Powers near 1 make a prior or the likelihood slightly stronger or weaker.

    Args:
        tree: Tree from `to_datatree` or `nuts`.
        var_names: Names of the variables of the posterior to examine; None for all.

    Returns:
        One row for each number of the posterior, with one column for the prior of every site, and
        one column for the likelihood. Values above 0.05 mean that the number is sensitive. If a
        number is sensitive to its prior but not to the likelihood, the data contain little
        information about it. If a number is sensitive to both, prior and data disagree about it.
        Stories with trained weights have no column for the likelihood: with another power of the
        likelihood, training would give other weights.

    Source: power-scaling, Kallioinen et al. (2024), by ArviZ.
    """
    names = list(tree.posterior.data_vars) if var_names is None else list(var_names)
    moved = {}
    if "log_likelihood" in tree.children:
        moved["likelihood"] = _psense(tree, names, "likelihood", None)
    for site in map(str, tree.log_prior.data_vars):
        prior = tree.log_prior[site]
        flat = bool(prior.max() == prior.min())  # a power of a uniform prior is the same prior
        moved[site] = 0 * _varying(tree, names) if flat else _psense(tree, names, "prior", site)
    return pd.DataFrame(moved)


def _psense(tree: xr.DataTree, names: list[str], group: str, site: str | None) -> pd.Series:
    """Return the sensitivity of all numbers that vary to a prior or to the likelihood."""
    sites = None if site is None else [site]
    with np.errstate(invalid="ignore"):  # numbers that are constant
        result = arviz_stats.psense(tree, var_names=names, group=group, group_var_names=sites)
    return _entries(result, names)[_varying(tree, names).index]


def _varying(tree: xr.DataTree, names: list[str]) -> pd.Series:
    """Return the spread of all numbers that vary. The diagonal of T is 0 in every draw."""
    spread = _entries(tree.posterior.std(["chain", "draw"]), names)
    return spread[spread > 0]


def _entries(data: Any, names: Sequence[str]) -> pd.Series:
    """Return every number of some variables by its name with coordinates."""
    return pd.Series({name: float(value) for name, value in named_numbers(data, names)})
