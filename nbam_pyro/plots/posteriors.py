"""Plots of posteriors and priors of rates and other latent variables."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes

from nbam_pyro.errors import DataError, StoryError
from nbam_pyro.inference.posterior.latents_tree import named_numbers
from nbam_pyro.outputs import ContaminationReport
from nbam_pyro.plots.sources import tree_of

__all__ = ["guide_and_chains", "prior_comparison", "rate_posterior"]


def rate_posterior(source: Any, *, var_name: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw the posterior (blue) and prior (grey) of rates: medians, 50 and 90 % intervals.

    The prior of a report of `from_pred_probs` is that of its rates if labels may be wrong.

    Args:
        source: Object that contains the posterior: a tree of `to_datatree` or `nuts`, a `Fit`, a
            fitted estimator, or a report of `from_pred_probs`, `from_predictions` or `from_scores`.
        var_name: Variable of posterior and prior; None means "rate" or "contamination", the first
            of them that both have.
        ax: Axes to draw on; None for the current axes.

    Raises:
        DataError: The object contains no posterior.
        StoryError: The posterior has no such variable.
    """
    tree = source.to_datatree() if isinstance(source, ContaminationReport) else tree_of(source)
    if "prior" not in tree.children:
        raise DataError("The tree has no group 'prior'. Make it with to_datatree or nuts.")
    present = [str(name) for name in tree.posterior.data_vars if name in tree.prior.data_vars]
    wanted = ["rate", "contamination"] if var_name is None else [var_name]
    names = [name for name in wanted if name in present]
    if not names:
        raise StoryError(
            f"Posterior and prior have variables {present}. Give one of them as var_name."
        )
    ax = ax or plt.gca()
    after, before = (_flat(tree, group, names) for group in ("posterior", "prior"))
    _intervals(ax, before, -0.15, "lightgrey", "prior")
    _intervals(ax, after, 0.15, "tab:blue", "posterior")
    ax.legend()
    return _labelled(ax, list(after.columns))


def _labelled(ax: Axes, names: Sequence[str]) -> Axes:
    ax.set_yticks(range(len(names)), [name.replace("$", r"\$") for name in names])
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set_xlabel("contamination rate")
    ax.set_title("What the data say about the rates")
    return ax


def guide_and_chains(
    guide: Any,
    chains: Any,
    *,
    var_names: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the posterior of a guide (SVI) beside that of NUTS: medians, 50 and 90 % intervals.

    Args:
        guide: Posterior of the guide: a tree of `to_datatree`, a `Fit`, or a fitted estimator.
        chains: Tree of `nuts`, on the same rows.
        var_names: Variables of the posterior; None means all variables.
        ax: Axes to draw on; None for the current axes.

    Raises:
        DataError: An object contains no posterior, a posterior lacks one of these variables, or the
            two posteriors have different names.
    """
    one, other = tree_of(guide), tree_of(chains)
    names = [str(v) for v in other.posterior.data_vars] if var_names is None else list(var_names)
    for tree in (one, other):
        missing = [name for name in names if name not in tree.posterior.data_vars]
        if missing:
            present = [str(name) for name in tree.posterior.data_vars]
            raise DataError(f"A posterior has no variable {missing[0]!r}; it has {present}.")
    left, right = (_flat(tree, "posterior", names) for tree in (one, other))
    if list(left.columns) != list(right.columns):
        raise DataError(
            f"The two posteriors have different names, for example {left.columns[0]!r} and "
            f"{right.columns[0]!r}. Make both with the same class_names."
        )
    ax = ax or plt.gca()
    moving = right.columns[right.std() > 0]
    _intervals(ax, left[moving], -0.15, "tab:orange", "guide (SVI)")
    _intervals(ax, right[moving], 0.15, "tab:blue", "chains (NUTS)")
    ax.set_yticks(range(len(moving)), list(moving))
    ax.invert_yaxis()
    ax.set_title("Posterior by SVI and by NUTS")
    ax.legend()
    return ax


def prior_comparison(comparison: Any, *, ax: Axes | None = None) -> Axes:
    """Draw the ELPD of each candidate minus that of the best, with two standard errors.

    Args:
        comparison: The `Comparison` of `compare_priors`, or its table.
        ax: Axes to draw on; None for the current axes.

    Raises:
        DataError: The object is neither a `Comparison` nor its table.
    """
    table = getattr(comparison, "table", comparison)
    if not isinstance(table, pd.DataFrame) or not {"elpd_diff", "dse"} <= set(table.columns):
        raise DataError(
            f"A {type(comparison).__name__} contains no comparison. Give the result of "
            "compare_priors, or its table, with the columns 'elpd_diff' and 'dse'."
        )
    ax = ax or plt.gca()
    behind = -table["elpd_diff"].abs()
    ax.errorbar(behind, range(len(table)), xerr=2 * table["dse"], fmt="o", capsize=3)
    ax.axvline(0, color="grey", linestyle=":")
    ax.axvspan(-4, 0, color="lightgrey", alpha=0.4, label="up to 4 nats: no clear difference")
    ax.set_yticks(range(len(table)), list(table.index))
    ax.invert_yaxis()
    ax.set_xlabel("ELPD minus that of the best (nats, two standard errors)")
    ax.set_title("Which assumption predicts best")
    ax.legend()
    return ax


def _flat(tree: xr.DataTree, group: str, names: Sequence[str]) -> pd.DataFrame:
    """Return a table with one row per draw and one named column per number of the variables."""
    data = tree[group].to_dataset().stack(sample=["chain", "draw"], create_index=False)
    return pd.DataFrame(dict(named_numbers(data, names, kept=["sample"])))


def _intervals(ax: Axes, draws: pd.DataFrame, shift: float, colour: str, label: str) -> None:
    low, lower, middle, upper, high = draws.quantile([0.05, 0.25, 0.5, 0.75, 0.95]).to_numpy()
    at = np.arange(draws.shape[1]) + shift
    ax.hlines(at, low, high, color=colour, linewidth=1.5)
    ax.hlines(at, lower, upper, color=colour, linewidth=5)
    ax.plot(middle, at, "o", color=colour, markeredgecolor="black", markersize=4, label=label)
