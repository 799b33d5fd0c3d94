"""Plots of responsibilities, and of their calibration where the truth is known."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from nbam_pyro.errors import DataError
from nbam_pyro.inference.workflow.predictive_checks import KnownFlips
from nbam_pyro.models.likelihoods.component import check_whole
from nbam_pyro.plots.sources import groups_of, numbers, responsibilities_of, truth

__all__ = [
    "contamination_map",
    "occam_penalty",
    "reliability",
    "responsibilities",
    "responsibilities_by",
]


def responsibilities(values: Any, *, contaminated: Any = None, ax: Axes | None = None) -> Axes:
    """Draw a histogram of responsibilities, split by the truth if it is known.

    Args:
        values: Responsibilities (probabilities that a row is contaminated), (N,), or an object that
            contains them: a `Fit`, a fitted estimator, a `ContaminationReport`, or a `KnownFlips`.
        contaminated: Truth, (N,) booleans or 0 and 1; None if it is unknown.
        ax: Axes to draw on; None for the current axes.

    Raises:
        DataError: The object contains no responsibilities, or lengths differ.
    """
    r = responsibilities_of(values)
    known = None if contaminated is None else truth(contaminated, len(r))
    ax = ax or plt.gca()
    bins = np.linspace(0, 1, 21).tolist()
    if known is None:
        ax.hist(r, bins=bins, color="tab:blue")
    else:
        colours = ["tab:blue", "tab:orange"]
        ax.hist([r[~known], r[known]], bins=bins, color=colours, label=["clean", "contaminated"])
        ax.legend(title="truth")
    ax.set_yscale("log")
    ax.set_ylim(bottom=0.8)
    ax.set_xlabel("responsibility P(contaminated | x, y)")
    ax.set_ylabel("rows")
    ax.set_title("How sure the flags are")
    return ax


def responsibilities_by(
    values: Any, by: Any = None, *, names: Sequence[str] | None = None, ax: Axes | None = None
) -> Axes:
    """Draw responsibilities by group (class, source, annotator, ...), with the worst group on top.

    Boxes show the quartiles, whiskers the middle 90 %, and diamonds the mean, which is the expected
    share of contaminated rows in the group.

    Args:
        values: Responsibilities (probabilities that a row is contaminated), (N,), or an object that
            contains them: a `Fit`, a fitted estimator, a `ContaminationReport`, or a `KnownFlips`.
        by: Group of each row, (N,). If `names` are given, `by` contains positions in `names`, and
            -1 if the group is unknown. None means the labels of a report.
        names: Names of the groups; None if `by` contains names.
        ax: Axes to draw on; None for the current axes.

    Raises:
        DataError: The object contains no responsibilities, there are no groups, a group has no
            name, or lengths differ.
    """
    r = responsibilities_of(values)
    groups = groups_of(values, by, len(r))
    if names is not None:
        groups = groups.map(lambda group: _name(group, names))
    frame = pd.DataFrame({"r": r, "by": groups.astype(str)})
    order = frame.groupby("by")["r"].mean().sort_values().index
    parts = [frame.loc[frame["by"] == group, "r"].to_numpy() for group in order]
    ticks = [f"{label} ({len(part)})" for label, part in zip(order, parts, strict=True)]
    ax = ax or plt.gca()
    ax.boxplot(
        parts,
        orientation="horizontal",
        tick_labels=[tick.replace("$", r"\$") for tick in ticks],
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


def _name(group: Any, names: Sequence[str]) -> str:
    try:
        return "unknown" if group == "unknown" or group < 0 else str(names[int(group)])
    except (TypeError, ValueError, IndexError) as error:
        raise DataError(
            f"by has the group {group!r}. If names are given, by must contain their positions, 0 "
            f"to {len(names) - 1}."
        ) from error


def reliability(
    values: Any, contaminated: Any = None, *, bins: int = 10, ax: Axes | None = None
) -> Axes:
    """Draw observed against predicted contamination; calibrated shares lie on the diagonal.

    Vertical lines are 95 % Wilson intervals of the observed shares, which lie within 0 and 1. Grey
    bars show the number of rows in each bin, on the axis on the right.

    Args:
        values: Responsibilities (probabilities that a row is contaminated), (N,), or an object that
            contains them: a `Fit`, a fitted estimator, a `ContaminationReport`, or the `KnownFlips`
            of `known_flips`.
        contaminated: Truth, (N,) booleans or 0 and 1; None for the truth in a `KnownFlips`.
        bins: Number of bins of equal width.
        ax: Axes to draw on; None for the current axes.

    Raises:
        DataError: The object contains no responsibilities, the truth is unknown, or lengths differ.
    """
    r = responsibilities_of(values)
    check_whole("bins", bins, least=1)
    if contaminated is None and isinstance(values, KnownFlips):
        contaminated = values.flipped
    if contaminated is None:
        raise DataError("reliability needs the truth. Give contaminated, (N,) booleans.")
    known = truth(contaminated, len(r))
    index = np.minimum((r * bins).astype(int), bins - 1)
    sizes = np.bincount(index, minlength=bins)
    full = sizes > 0
    sizes = sizes[full]
    stated = np.bincount(index, r, minlength=bins)[full] / sizes
    realised = np.bincount(index, known, minlength=bins)[full] / sizes
    low, high = _wilson(realised, sizes)
    ax = ax or plt.gca()
    counts = ax.twinx()
    counts.bar(
        np.flatnonzero(full) / bins, sizes, 0.9 / bins, align="edge", color="grey", alpha=0.3
    )
    counts.set_yscale("log")
    counts.set_ylim(bottom=0.8)
    counts.set_ylabel("rows")
    ax.set_zorder(counts.get_zorder() + 1)  # the shares are in front of the bars
    ax.patch.set_visible(False)
    ax.plot([0, 1], [0, 1], color="grey", linestyle=":")
    error = np.stack([realised - low, high - realised])
    ax.errorbar(stated, realised, yerr=error, marker="o", capsize=3)
    ax.set_xlim(-0.02, 1.02)
    ax.set_ylim(-0.02, 1.02)
    ax.set_xlabel("mean responsibility")
    ax.set_ylabel("share that is contaminated")
    ax.set_title("Are the flags calibrated?")
    return ax


def _wilson(share: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return 95 % intervals of binomial shares, which lie within 0 and 1 (Wilson 1927)."""
    z = 1.96
    middle = (share + z**2 / (2 * sizes)) / (1 + z**2 / sizes)
    half = z * np.sqrt(share * (1 - share) / sizes + z**2 / (4 * sizes**2)) / (1 + z**2 / sizes)
    return np.clip(middle - half, 0, share), np.clip(middle + half, share, 1)


def contamination_map(
    contamination: Any,
    position: Any,
    *,
    names: Sequence[str] = ("first", "second"),
    ax: Axes | None = None,
) -> Axes:
    """Draw prior probabilities or responsibilities over two features or an embedding.

    Args:
        contamination: Prior probabilities that a row is contaminated, from `prior_contamination`,
            (N,); responsibilities, (N,); or an object that contains responsibilities: a `Fit`, a
            fitted estimator, or a report of `from_pred_probs`.
        position: Position of each row, (N, 2).
        names: Names of the two axes.
        ax: Axes to draw on; None for the current axes.

    Raises:
        DataError: The object contains no probabilities, or positions are not (N, 2).
    """
    values = responsibilities_of(contamination)
    flat = numbers("Positions", position, "an array (N, 2)")
    if len(flat) != 2 * len(values) or np.shape(position)[-1] != 2:
        raise DataError(
            f"Positions have shape {np.shape(position)}; expected ({len(values)}, 2), one for "
            "each row."
        )
    order = np.argsort(values)  # Draw the most contaminated rows last, in front.
    across, up = flat.reshape(-1, 2)[order].T
    ax = ax or plt.gca()
    points = ax.scatter(across, up, c=values[order], s=12, cmap="viridis", vmin=0)
    ax.figure.colorbar(points, ax=ax, shrink=0.8, label="P(contaminated)")
    ax.set_xlabel(names[0])
    ax.set_ylabel(names[1])
    ax.set_title("Where data are contaminated")
    return ax


def occam_penalty(penalties: Any, values: Any, *, ax: Axes | None = None) -> Axes:
    """Draw the Occam penalty KL(r || pi) of every row against its responsibility.

    Here r is the responsibility of the row, and pi the prior probability that it is contaminated.
    The penalty is the cost of flagging: a row is flagged only if the anomaly log likelihood is
    larger than the clean log likelihood by more than the penalty, in nats.

    Args:
        penalties: Penalties from `occam_penalties`, (N,), in nats.
        values: Responsibilities (probabilities that a row is contaminated), (N,), or an object that
            contains them: a `Fit`, a fitted estimator, or a report of `from_pred_probs`.
        ax: Axes to draw on; None for the current axes.

    Raises:
        DataError: The penalties are not numbers, the object contains no responsibilities, or
            lengths differ.
    """
    r = responsibilities_of(values)
    costs = numbers("Penalties", penalties, "those of occam_penalties, (N,)", rows=len(r))
    ax = ax or plt.gca()
    ax.scatter(r, costs, s=10, alpha=0.5)
    ax.set_xlim(-0.02, 1.02)
    ax.set_xlabel("responsibility P(contaminated | x, y)")
    ax.set_ylabel("Occam penalty (nats)")
    ax.set_title("What flagging costs")
    return ax
