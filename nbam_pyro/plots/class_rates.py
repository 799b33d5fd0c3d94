"""Plot of the share of wrong labels of each class."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from nbam_pyro.errors import DataError
from nbam_pyro.outputs import ContaminationReport
from nbam_pyro.plots.sources import label_tables, matrix_of, names_of

__all__ = ["class_rates", "rates_table"]


def class_rates(source: Any, *, names: Sequence[Any] | None = None, ax: Axes | None = None) -> Axes:
    """Draw the share of wrong labels of each true class with its interval, the worst on top.

    The share of a class is the probability that a row of this class has the label of another class,
    1 - M(c, c).

    Args:
        source: Object that contains the shares: a `Fit`, a fitted estimator, a report of
            `from_pred_probs`, a `MatrixEstimate` of the transition matrix, or a table with the
            columns class, rate, low and high.
        names: Names of the classes, (K,); None for the names in the object.
        ax: Axes to draw on; None for the current axes.

    Raises:
        DataError: The object contains no shares with intervals, or the number of names is not K.
        StoryError: The story of the fit has no latent true label.

    Example:
        >>> from matplotlib.figure import Figure
        >>> from nbam_pyro import from_pred_probs
        >>> report = from_pred_probs([0, 1, 0], [[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])
        >>> ax = class_rates(report, names=["ant", "bee"], ax=Figure().subplots())
        >>> sorted(label.get_text() for label in ax.get_yticklabels())
        ['ant', 'bee']
    """
    table = rates_table(source)
    given = names_of(table["class"] if names is None else names, len(table))
    order = table["rate"].argsort(kind="stable").to_numpy()[::-1]
    ticks = [str(name) for name in given or []]
    ax = ax or plt.gca()
    at = np.arange(len(table))
    shown = table.iloc[order]
    ax.hlines(at, shown["low"], shown["high"], color="tab:blue", linewidth=1.5)
    ax.plot(shown["rate"], at, "o", color="tab:blue", markersize=5)
    ax.set_yticks(at, [ticks[place] for place in order])
    ax.set_ylim(len(table) - 0.5, -0.5)
    ax.set_xlim(left=0)
    ax.locator_params(axis="x", nbins=6)
    ax.set_xlabel("share of wrong labels, with interval")
    ax.set_ylabel("true class")
    ax.set_title("Wrong labels by class")
    return ax


def rates_table(source: Any) -> pd.DataFrame:
    """Return a table with one row per class: class, rate, low, high.

    Args:
        source: Object as in `class_rates`.

    Raises:
        DataError: The object contains no shares with intervals.
        StoryError: The story of the fit has no latent true label.
    """
    if isinstance(source, ContaminationReport):
        return label_tables(source).rates
    if isinstance(source, pd.DataFrame) and {"class", "rate", "low", "high"} <= set(source):
        return source
    matrix = matrix_of(source)
    if matrix.low is None or matrix.high is None:
        raise DataError(
            f"A {type(source).__name__} contains no intervals. Give a Fit, an estimator, a report "
            "of from_pred_probs, or the MatrixEstimate of transition_matrix."
        )
    classes = matrix.names or [str(c) for c in range(len(matrix.mean))]
    return pd.DataFrame(
        {
            "class": classes,
            "rate": 1 - matrix.mean.diagonal(),
            "low": 1 - matrix.high.diagonal(),
            "high": 1 - matrix.low.diagonal(),
        }
    )
