"""Reliability of P(label is wrong): the share of wrong labels in each bin of the given numbers."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.label_noise.figures import BINS, LABELS_IN_BIN, WRONG_IN_BIN
from nbam_pyro.errors import DataError

__all__ = ["reliability"]

_CASE = ["data", "noise", "rate_per_class", "train_size"]
_MOST_ACROSS = 3
# The share of fewer labels says little.
_FEWEST = 20


def reliability(rows: pd.DataFrame) -> Figure:
    """Plot the share of wrong labels against the given number, one panel per kind of noise.

    Bins have a width of .1, and their labels are those of all seeds. Bins with fewer than 20 labels
    are left out. Calibrated numbers lie on the dotted line.

    Args:
        rows: One row per case, as `rows.wide` returns them. Kinds of noise for which `nbam` has no
            bins are left out.

    Raises:
        DataError: No row of `nbam` has bins.
    """
    first = f"{LABELS_IN_BIN}[0]"
    known = rows[rows[first].notna()] if first in rows else rows.iloc[:0]
    panels = [
        part
        for _, part in known.groupby(_CASE, sort=False, dropna=False)
        if "nbam" in set(part["method"])
    ]
    if not panels:
        raise DataError("The figure needs rows of nbam with bins. Measure nbam again (--again).")
    across = min(_MOST_ACROSS, len(panels))
    down = -(-len(panels) // across)
    size = (3.7 * max(across, 2), 3.4 * down)
    picture, axes = plt.subplots(
        down, across, figsize=size, sharex=True, sharey=True, squeeze=False
    )
    methods = list(dict.fromkeys(name for part in panels for name in part["method"]))
    colours = dict(zip(methods, plt.get_cmap("tab10")(range(len(methods))), strict=True))
    for part, ax in zip(panels, axes.flat, strict=False):
        _draw(part, colours, ax)
        ax.set_title(_title(part.iloc[0]), fontsize=9)
    for ax in axes.flat[len(panels) :]:
        ax.set_visible(False)
    for ax in axes[:, 0]:
        ax.set_ylabel("share of wrong labels")
    for ax in axes.flat[max(0, len(panels) - across) : len(panels)]:
        ax.set_xlabel("number of the method")
        ax.tick_params(labelbottom=True)
    lines = {line.get_label(): line for ax in axes.flat for line in ax.get_lines()}
    handles = [lines[name] for name in methods if name in lines]
    picture.legend(handles=handles, loc="lower center", ncol=4, frameon=False)
    picture.tight_layout(rect=(0, 0.15 / down, 1, 1))
    return picture


def _title(row: pd.Series) -> str:
    rate = row["rate_per_class"]
    given = "" if pd.isna(rate) else f" {rate:g}"
    return f"{row['data']}, {row['noise']}{given}, {row['train_size']:,} rows"


def _draw(rows: pd.DataFrame, colours: dict[str, np.ndarray], ax: Axes) -> None:
    ax.plot([0, 1], [0, 1], ":", color="grey", lw=1)
    middles = (np.arange(BINS) + 0.5) / BINS
    for method, part in rows.groupby("method", sort=False):
        count, wrong = (
            part[[f"{name}[{k}]" for k in range(BINS)]].sum().to_numpy()
            for name in (LABELS_IN_BIN, WRONG_IN_BIN)
        )
        kept = count >= _FEWEST
        ours = method == "nbam"
        ax.plot(
            middles[kept],
            wrong[kept] / count[kept],
            color="black" if ours else colours[str(method)],
            lw=2.5 if ours else 1,
            marker="o",
            ms=3,
            label=method,
        )
    ax.grid(alpha=0.3)
