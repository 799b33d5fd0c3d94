"""What is believed about rates and other latents: before and after, by guide and by chains."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes

from nbam_pyro.errors import StoryError
from nbam_pyro.inference.datatree import named_numbers

if TYPE_CHECKING:
    from nbam_pyro.inference import Comparison

__all__ = ["agreement", "prior_comparison", "rate_posterior"]


def rate_posterior(
    tree: xr.DataTree, *, var_name: str | None = None, ax: Axes | None = None
) -> Axes:
    """Posterior of the rates, blue, against their prior, grey: medians, 50 and 90 % intervals.

    Args:
        tree: from `to_datatree` or `nuts`.
        var_name: of the posterior; None for "rate" or "contamination".
        ax: where to draw; the current axes if None.

    Raises:
        StoryError: the posterior has no such variable.
    """
    ax = ax or plt.gca()
    present = [str(name) for name in tree.posterior.data_vars]
    wanted = ["rate", "contamination"] if var_name is None else [var_name]
    names = [name for name in wanted if name in present]
    if not names:
        raise StoryError(f"The posterior has {present}: give one of them as var_name.")
    after, before = (_flat(tree, group, names) for group in ("posterior", "prior"))
    _intervals(ax, before, -0.15, "lightgrey", "prior")
    _intervals(ax, after, 0.15, "tab:blue", "posterior")
    ax.set_yticks(range(after.shape[1]), list(after.columns))
    ax.invert_yaxis()
    ax.set_xlabel("contamination rate")
    ax.set_title("What the data say about the rates")
    ax.legend()
    return ax


def agreement(
    guide: xr.DataTree,
    chains: xr.DataTree,
    *,
    var_names: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """A guide's posterior beside that of NUTS: medians, 50 and 90 % intervals.

    Args:
        guide: from `to_datatree`.
        chains: from `nuts`, on the same rows.
        var_names: of the posterior; None for all.
        ax: where to draw; the current axes if None.
    """
    ax = ax or plt.gca()
    names = [str(v) for v in chains.posterior.data_vars] if var_names is None else list(var_names)
    one, other = (_flat(tree, "posterior", names) for tree in (guide, chains))
    moving = other.columns[other.std() > 0]
    _intervals(ax, one[moving], -0.15, "tab:orange", "guide (SVI)")
    _intervals(ax, other[moving], 0.15, "tab:blue", "chains (NUTS)")
    ax.set_yticks(range(len(moving)), list(moving))
    ax.invert_yaxis()
    ax.set_title("The posterior, twice")
    ax.legend()
    return ax


def prior_comparison(comparison: "Comparison", *, ax: Axes | None = None) -> Axes:
    """How much worse than the best each candidate predicts, with two standard errors.

    Args:
        comparison: from `compare_priors`.
        ax: where to draw; the current axes if None.
    """
    ax = ax or plt.gca()
    table = comparison.table
    behind = -table["elpd_diff"].abs()
    ax.errorbar(behind, range(len(table)), xerr=2 * table["dse"], fmt="o", capsize=3)
    ax.axvline(0, color="grey", linestyle=":")
    ax.axvspan(-4, 0, color="lightgrey", alpha=0.4, label="4 nats: not to be told apart")
    ax.set_yticks(range(len(table)), list(table.index))
    ax.invert_yaxis()
    ax.set_xlabel("ELPD less that of the best (nats, two standard errors)")
    ax.set_title("Which assumption predicts best")
    ax.legend()
    return ax


def _flat(tree: xr.DataTree, group: str, names: Sequence[str]) -> pd.DataFrame:
    """Draws as rows, every number of the variables as a column with its name."""
    data = tree[group].to_dataset().stack(sample=["chain", "draw"], create_index=False)
    return pd.DataFrame(dict(named_numbers(data, names, kept=["sample"])))


def _intervals(ax: Axes, draws: pd.DataFrame, shift: float, colour: str, label: str) -> None:
    low, lower, middle, upper, high = draws.quantile([0.05, 0.25, 0.5, 0.75, 0.95]).to_numpy()
    at = np.arange(draws.shape[1]) + shift
    ax.hlines(at, low, high, color=colour, linewidth=1.5)
    ax.hlines(at, lower, upper, color=colour, linewidth=5)
    ax.plot(middle, at, "o", color=colour, markeredgecolor="black", markersize=4, label=label)
