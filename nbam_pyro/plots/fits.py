"""Plots of transition matrices and of training."""

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

# Largest number of classes for which numbers, and intervals, in the cells can be read.
_READABLE = 40
_READABLE_INTERVALS = 12

# Label of the axis, with its unit, for each step of a fit that has a curve.
_LOSSES = {
    "joint": "negative log marginal per row, with the prior's share (nats)",
    "distil": "cross-entropy to the posterior of true labels (nats)",
}


def transition_matrix(
    estimate: Any, *, names: Sequence[Any] | None = None, ax: Axes | None = None
) -> Axes:
    """Draw the transition matrix M = p(observed | true) as a heat map with its numbers.

    Off-diagonal entries above 1 % also show their intervals, if there are any. Numbers are written
    for up to 40 classes, and intervals for up to 12.

    Args:
        estimate: Object that contains the matrix: a `Fit`, a fitted estimator, a report of
            `from_pred_probs`, the `MatrixEstimate` of `nbam_pyro.transition_matrix` or
            `flip_matrix`, or an array, (K, K).
        names: Names of the classes, (K,); None for the names in the estimate.
        ax: Axes to draw on; None for the current axes.

    Raises:
        DataError: The object contains no such matrix, or the number of names is not K.
        StoryError: The story of the fit has no latent true label.
    """
    matrix = matrix_of(estimate)
    k = len(matrix.mean)
    ticks = names_of(matrix.names if names is None else names, k) or [str(c) for c in range(k)]
    ax = ax or plt.gca()
    image = ax.imshow(matrix.mean, vmin=0, vmax=1, cmap="Blues")
    ax.figure.colorbar(image, ax=ax, shrink=0.8, label="p(observed | true)")
    every = slice(None, None, 1 + k // 30)  # At most about 30 names can be read.
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
    """Write numbers into the cells."""
    k = len(matrix.mean)
    window = ax.get_window_extent()
    cell = (
        72 * min(window.width, window.height) / ax.figure.dpi / k
    )  # In points, the unit of font sizes.
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
    """Draw the training loss and the held-out loss of each fit of the network, one after another.

    Held-out rows are rows that the network is not trained on; their labels may also be wrong. The
    plot shows the joint fits of network and rates. If there is no joint fit, it shows the training
    of the network on the posterior of true labels (`Distil`).

    Args:
        history: A `Fit`, a fitted estimator, or the `history` of a fit.
        ax: Axes to draw on; None for the current axes.

    Raises:
        DataError: The object contains no history, or the history contains no such fit.
    """
    source = fit_of(history)
    table = source.history if isinstance(source, Fit) else source
    if not isinstance(table, pd.DataFrame) or not {"step", "epoch", "loss"} <= set(table.columns):
        raise DataError(
            f"A {type(history).__name__} contains no training history. Give a Fit, an estimator, "
            "or fit.history, a table with the columns 'step', 'epoch' and 'loss'."
        )
    name = next((name for name in _LOSSES if (table["step"] == name).any()), None)
    if name is None:
        raise DataError(
            "The history has no step 'joint' or 'distil', so there is no curve. Give another fit."
        )
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
