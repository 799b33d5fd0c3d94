"""What the flags say, and whether they are right."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from sklearn.calibration import calibration_curve

__all__ = [
    "contamination_map",
    "occam_penalty",
    "reliability",
    "responsibilities",
    "responsibilities_by",
]


def responsibilities(
    values: np.ndarray, *, contaminated: np.ndarray | None = None, ax: Axes | None = None
) -> Axes:
    """Histogram of responsibilities, split by the truth where it is known.

    Args:
        values: P(z=1 | x, y), (N,).
        contaminated: the truth, (N,) booleans, or None.
        ax: where to draw; the current axes if None.
    """
    ax = ax or plt.gca()
    bins = np.linspace(0, 1, 21).tolist()
    if contaminated is None:
        ax.hist(values, bins=bins, color="tab:blue")
    else:
        parts = [values[~contaminated], values[contaminated]]
        colours = ["tab:blue", "tab:orange"]
        ax.hist(parts, bins=bins, color=colours, label=["clean", "contaminated"])
        ax.legend(title="truth")
    ax.set_yscale("log")
    ax.set_ylim(bottom=0.8)
    ax.set_xlabel("responsibility P(contaminated | x, y)")
    ax.set_ylabel("rows")
    ax.set_title("How sure the flags are")
    return ax


def responsibilities_by(
    values: np.ndarray, by: Any, *, names: Sequence[str] | None = None, ax: Axes | None = None
) -> Axes:
    """Responsibilities by class, source, annotator or any other group, the worst group on top.

    Boxes have the quartiles, whiskers the middle 90 %, diamonds the mean: the share of the group
    that is expected to be contaminated.

    Args:
        values: P(z=1 | x, y), (N,).
        by: the group of each row, (N,); where there are names, their positions.
        names: of the groups.
        ax: where to draw; the current axes if None.
    """
    ax = ax or plt.gca()
    frame = pd.DataFrame({"r": np.asarray(values), "by": np.asarray(by)})
    order = frame.groupby("by")["r"].mean().sort_values().index
    parts = [frame.loc[frame["by"] == group, "r"].to_numpy() for group in order]
    labels = [_name(group, names) for group in order]
    ax.boxplot(
        parts,
        orientation="horizontal",
        tick_labels=[f"{label} ({len(part)})" for label, part in zip(labels, parts, strict=True)],
        whis=(5, 95),
        showfliers=False,
        showmeans=True,
        meanprops={"marker": "D", "markerfacecolor": "tab:orange", "markeredgecolor": "none"},
        medianprops={"color": "tab:blue"},
    )
    ax.set_xlim(-0.02, 1.02)
    ax.set_xlabel("responsibility P(contaminated | x, y)")
    ax.set_title("Flags by group (rows)")
    return ax


def _name(group: Any, names: Sequence[str] | None) -> str:
    if names is None:
        return str(group)
    return "unknown" if group < 0 else names[int(group)]


def reliability(
    values: np.ndarray, contaminated: np.ndarray, *, bins: int = 10, ax: Axes | None = None
) -> Axes:
    """Stated against realised contamination; on the diagonal responsibilities are calibrated.

    Args:
        values: P(z=1 | x, y), (N,).
        contaminated: the truth, (N,) booleans, such as of `known_flips`.
        bins: of equal width.
        ax: where to draw; the current axes if None.
    """
    ax = ax or plt.gca()
    realised, stated = calibration_curve(contaminated, np.clip(values, 0, 1), n_bins=bins)
    edges = np.linspace(0, 1, bins + 1)[1:-1]  # as scikit-learn draws them
    index = np.searchsorted(edges, np.clip(values, 0, 1))
    sizes = np.bincount(index, minlength=bins)
    error = np.sqrt(realised * (1 - realised) / np.maximum(sizes[sizes > 0], 1))
    ax.plot([0, 1], [0, 1], color="grey", linestyle=":")
    ax.errorbar(stated, realised, yerr=2 * error, marker="o", capsize=3)
    for at, share, size in zip(stated, realised, sizes[sizes > 0], strict=True):
        ax.annotate(f"{size}", (at, share), xytext=(5, -11), textcoords="offset points", fontsize=7)
    ax.set_xlim(-0.02, 1.02)
    ax.set_ylim(-0.02, 1.02)
    ax.set_xlabel("mean responsibility")
    ax.set_ylabel("share that is contaminated")
    ax.set_title("Are the flags calibrated? (rows)")
    return ax


def contamination_map(
    contamination: np.ndarray,
    position: np.ndarray,
    *,
    names: Sequence[str] = ("first", "second"),
    ax: Axes | None = None,
) -> Axes:
    """Prior contamination pi(x) over two features or an embedding.

    Args:
        contamination: P(z=1 | x), (N,), from `prior_contamination`; or responsibilities.
        position: of each row, (N, 2).
        names: of the two axes.
        ax: where to draw; the current axes if None.
    """
    ax = ax or plt.gca()
    order = np.argsort(contamination)  # the most contaminated are not hidden
    across, up = np.asarray(position)[order].T
    points = ax.scatter(across, up, c=np.asarray(contamination)[order], s=12, cmap="viridis")
    ax.figure.colorbar(points, ax=ax, shrink=0.8, label="P(contaminated | x)")
    ax.set_xlabel(names[0])
    ax.set_ylabel(names[1])
    ax.set_title("Where data are contaminated")
    return ax


def occam_penalty(penalties: np.ndarray, values: np.ndarray, *, ax: Axes | None = None) -> Axes:
    """What flagging costs: KL(r || pi) of every row against its responsibility.

    A row is flagged where the anomaly explains it better by more than that.

    Args:
        penalties: from `occam_penalties`, (N,), in nats.
        values: P(z=1 | x, y), (N,).
        ax: where to draw; the current axes if None.
    """
    ax = ax or plt.gca()
    ax.scatter(values, penalties, s=10, alpha=0.5)
    ax.set_xlim(-0.02, 1.02)
    ax.set_xlabel("responsibility P(contaminated | x, y)")
    ax.set_ylabel("Occam penalty (nats)")
    ax.set_title("What flagging costs")
    return ax
