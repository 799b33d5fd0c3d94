"""How labels flip, and how the fit went."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes

if TYPE_CHECKING:
    from nbam_pyro.inference import MatrixEstimate

__all__ = ["training_curve", "transition_matrix"]


def transition_matrix(
    estimate: "MatrixEstimate", *, names: Sequence[str] | None = None, ax: Axes | None = None
) -> Axes:
    """M = p(observed | true) as a heat map; entries above 1 % off the diagonal with intervals.

    Args:
        estimate: from `nbam_pyro.transition_matrix`.
        names: of the classes.
        ax: where to draw; the current axes if None.
    """
    ax = ax or plt.gca()
    mean, low, high = estimate.mean, estimate.low, estimate.high
    k = len(mean)
    image = ax.imshow(mean, vmin=0, vmax=1, cmap="Blues")
    ax.figure.colorbar(image, ax=ax, shrink=0.8, label="p(observed | true)")
    ticks = [str(c) for c in range(k)] if names is None else [n.replace("$", r"\$") for n in names]
    every = slice(None, None, 1 + k // 30)  # as many names as can be read
    rotation = 0 if sum(map(len, ticks[every])) < 50 else 90
    ax.set_xticks(range(k)[every], ticks[every], rotation=rotation)
    ax.set_yticks(range(k)[every], ticks[every])
    ax.set_xlabel("observed label")
    ax.set_ylabel("true label")
    for c in range(k):
        for y in range(k):
            if c != y and low[c, y] > 0.01:
                ax.text(
                    y,
                    c,
                    f"{mean[c, y]:.2f}\n{low[c, y]:.2f}-{high[c, y]:.2f}",
                    ha="center",
                    va="center",
                    fontsize=6 if k > 6 else 9,
                    color="white" if mean[c, y] > 0.5 else "black",
                )
    ax.set_title(f"How labels flip, with {estimate.probability:.0%} intervals")
    return ax


def training_curve(history: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Training and noisy held-out loss of the joint fits, one after another.

    Args:
        history: of a `Fit`.
        ax: where to draw; the current axes if None.
    """
    ax = ax or plt.gca()
    joint = history[history["step"] == "joint"].reset_index(drop=True)
    part = (joint["epoch"] == 0).cumsum()
    for number, one in joint.groupby(part):
        first = number == 1
        ax.plot(one.index, one["loss"], "C0", label="training (with the prior's share)" * first)
        if "held_out_loss" in one:
            ax.plot(one.index, one["held_out_loss"], "C1", label="noisy held-out" * first)
            best = int(one["held_out_loss"].argmin())
            kept = one.index.to_numpy()[best]
            ax.axvline(kept, color="grey", linestyle=":", label="epoch kept" * first)
    ax.set_xlabel("epoch of a joint fit" if part.max() == 1 else "epoch of the joint fits in turn")
    ax.set_ylabel("negative log marginal per row (nats)")
    ax.set_title("Training")
    ax.legend()
    return ax
