"""How labels flip, and how the fit went."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from nbam_pyro.errors import DataError
from nbam_pyro.inference import Fit
from nbam_pyro.plots.sources import Matrix, fit_of, matrix_of, names_of

__all__ = ["training_curve", "transition_matrix"]

# With more classes, numbers in the cells cannot be read.
_READABLE = 40
_READABLE_INTERVALS = 12

# What is drawn of the steps of a fit, and its unit.
_LOSSES = {
    "joint": "negative log marginal per row, with the prior's share (nats)",
    "distil": "cross-entropy to the posterior of true labels (nats)",
}


def transition_matrix(
    estimate: Any, *, names: Sequence[Any] | None = None, ax: Axes | None = None
) -> Axes:
    """M = p(observed | true) as a heat map with its numbers.

    Entries above 1 % off the diagonal have their intervals too, where there are any. Numbers are
    written for up to 40 classes, intervals for up to 12.

    Args:
        estimate: A `Fit`, a fitted estimator, a report of `from_pred_probs`, the `MatrixEstimate`
            of `nbam_pyro.transition_matrix` or `flip_matrix`, or an array (K, K).
        names: Names of the classes, (K,); None for those that come with the estimate.
        ax: Where to draw; the current axes if None.

    Raises:
        DataError: There is no such matrix in what was given, or names are too few or too many.
        StoryError: The story of the fit has no latent true label.
    """
    matrix = matrix_of(estimate)
    k = len(matrix.mean)
    ticks = names_of(matrix.names if names is None else names, k) or [str(c) for c in range(k)]
    ax = ax or plt.gca()
    image = ax.imshow(matrix.mean, vmin=0, vmax=1, cmap="Blues")
    ax.figure.colorbar(image, ax=ax, shrink=0.8, label="p(observed | true)")
    every = slice(None, None, 1 + k // 30)  # as many names as can be read
    rotation = 0 if sum(map(len, ticks[every])) < 50 else 90
    ax.set_xticks(range(k)[every], ticks[every], rotation=rotation)
    ax.set_yticks(range(k)[every], ticks[every])
    ax.set_xlabel("observed label")
    ax.set_ylabel("true label")
    if k <= _READABLE:
        _write(ax, matrix)
    note = "" if matrix.probability is None else f", with {matrix.probability:.0%} intervals"
    ax.set_title(f"How labels flip{note}")
    return ax


def _write(ax: Axes, matrix: Matrix) -> None:
    """Numbers into the cells."""
    k = len(matrix.mean)
    window = ax.get_window_extent()
    cell = 72 * min(window.width, window.height) / ax.figure.dpi / k  # in points, as fonts are
    size = min(9, max(3, 0.36 * cell))
    for (c, y), mean in np.ndenumerate(matrix.mean):
        text, small = f"{mean:.2f}" if mean >= 0.005 else "0", size
        if matrix.low is not None and matrix.high is not None and k <= _READABLE_INTERVALS:
            low, high = matrix.low[c, y], matrix.high[c, y]
            if c != y and low > 0.01:
                text, small = f"{text}\n{low:.2f}-{high:.2f}", min(size, max(3, 0.17 * cell))
        colour = "white" if mean > 0.5 else "black"
        ax.text(y, c, text, ha="center", va="center", fontsize=small, color=colour)


def training_curve(history: Any, *, ax: Axes | None = None) -> Axes:
    """Training and noisy held-out loss of the fits of the network, one after another.

    They are the joint fits, or, where the network learned the posterior of true labels (`Distil`),
    that one.

    Args:
        history: A `Fit`, a fitted estimator, or the `history` of a fit.
        ax: Where to draw; the current axes if None.

    Raises:
        DataError: What was given is none of these, or has no such fit.
    """
    source = fit_of(history)
    table = source.history if isinstance(source, Fit) else source
    if not isinstance(table, pd.DataFrame) or not {"step", "epoch", "loss"} <= set(table.columns):
        raise DataError(
            f"A training history is not in a {type(history).__name__}: give a Fit, an estimator, "
            "or fit.history, with the columns step, epoch and loss."
        )
    name = next((name for name in _LOSSES if (table["step"] == name).any()), None)
    if name is None:
        raise DataError("The history has no step 'joint' or 'distil': there is no curve to draw.")
    steps = table[table["step"] == name].reset_index(drop=True)
    ax = ax or plt.gca()
    part = (steps["epoch"] == 0).cumsum()
    for number, one in steps.groupby(part):
        first = number == 1
        ax.plot(one.index, one["loss"], "C0", label="training" * first)
        if "held_out_loss" in one and one["held_out_loss"].notna().any():
            ax.plot(one.index, one["held_out_loss"], "C1", label="noisy held-out" * first)
            kept = one.index.to_numpy()[one["held_out_loss"].argmin()]
            ax.axvline(kept, color="grey", linestyle=":", label="epoch kept" * first)
    ax.set_xlabel("epoch" if part.max() == 1 else "epoch of the fits in turn")
    ax.set_ylabel(_LOSSES[name])
    ax.set_title("Training")
    ax.legend()
    return ax
