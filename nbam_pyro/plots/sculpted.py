"""The distribution of a nuisance before and after selections by a score."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from nbam_pyro.checks.weights import row_weights
from nbam_pyro.detection.sculpting.distances import jensen_shannon
from nbam_pyro.detection.sculpting.rows import check_some, column_of, threshold_at
from nbam_pyro.errors import DataError

__all__ = ["sculpting"]


def sculpting(
    scores: ArrayLike,
    nuisance: ArrayLike,
    *,
    efficiencies: Sequence[float] = (0.5, 0.1, 0.01),
    bins: int = 50,
    weights: ArrayLike | None = None,
    name: str = "nuisance",
    ax: Axes | None = None,
) -> Axes:
    """Draw the density of a nuisance for all background rows and for those that a score selects.

    If the score does not depend on the nuisance, all lines have the same shape up to chance.

    Args:
        scores: Scores of background rows, high for anomalies, (N,).
        nuisance: Nuisance of background rows, (N,).
        efficiencies: Shares of the background rows that pass the selections, each in (0, 1).
        bins: Number of bins of equal width of the drawing, and of equal counts of the divergence in
            the legend.
        weights: Weights of the rows, such as 1 - r with the responsibility r of each row for being
            an anomaly, (N,). None for weights of 1.
        name: Name of the nuisance, with its unit.
        ax: Axes to draw on; None for the current axes.

    Raises:
        DataError: An efficiency corresponds to less than one row, or lengths differ.
    """
    b, u = column_of(scores, "scores"), column_of(nuisance, "nuisance")
    if len(b) != len(u):
        raise DataError(f"There are {len(b)} scores and {len(u)} values of the nuisance.")
    w = row_weights(weights, len(b))
    edges = np.linspace(u.min(), u.max(), bins + 1).tolist()
    ax = ax or plt.gca()
    ax.hist(u, edges, weights=w, density=True, color="lightgray", label="all background rows")
    for efficiency in efficiencies:
        passed = b > threshold_at(b, w, efficiency)
        check_some(float(passed.mean()), efficiency, len(b))
        found = jensen_shannon(u, passed, bins=bins, weights=w)
        ax.hist(
            u[passed],
            edges,
            weights=w[passed],
            density=True,
            histtype="step",
            label=f"{100 * efficiency:g} % pass, JSD {found.value:.3f} (floor {found.floor:.3f})",
        )
    ax.legend()
    ax.set_xlabel(name)
    ax.set_ylabel("density")
    ax.set_title("What the selection does to the nuisance")
    return ax
