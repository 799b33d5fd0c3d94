"""Map of rows in two dimensions, with the flagged rows."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from nbam_pyro.checks.containers import unwrapped
from nbam_pyro.errors import DataError
from nbam_pyro.plots.sources import groups_of, numbers, responsibilities_of

__all__ = ["embedding_map"]

# Numbers of groups that have a colour of their own, and of rows that are drawn one by one.
_COLOURS, _VECTORS = 10, 2000


def embedding_map(
    values: Any, features: Any, *, by: Any = None, flagged: float = 0.5, ax: Axes | None = None
) -> Axes:
    """Draw every row as a point of a map, and a ring around each flagged row.

    Rows that are alike lie near each other. With more than two features, the map shows the first
    two principal components of the standardised features. Rows that differ in other directions
    can lie on top of each other.

    Args:
        values: Responsibilities (probabilities that a row is contaminated), (N,), or an object that
            contains them: a `Fit`, a fitted estimator, or a `ContaminationReport`.
        features: Features or an embedding of the rows, (N, D) with D of at least 2. Two columns are
            drawn as they are.
        by: Group of each row, such as its label, (N,), which the colours show; None for one colour.
            Up to ten groups have a colour, the largest first.
        flagged: Responsibility above which a row gets a ring.
        ax: Axes to draw on; None for the current axes.

    Raises:
        DataError: The object contains no responsibilities, features are not finite numbers (N, D),
            or lengths differ.

    Example:
        >>> import numpy as np
        >>> from matplotlib.figure import Figure
        >>> x = np.random.default_rng(0).normal(size=(9, 4))
        >>> ax = embedding_map(np.linspace(0, 1, 9), x, ax=Figure().subplots())
        >>> ax.get_xlabel()
        'principal component 1'
    """
    r = responsibilities_of(values)
    flat = numbers("Features", features, "an array (N, D)")
    shape = np.shape(unwrapped(features))
    if len(shape) != 2 or shape[0] != len(r) or shape[1] < 2:
        raise DataError(
            f"Features have shape {shape}; expected ({len(r)}, D), one row for each of the rows "
            "and at least two columns."
        )
    position = _position(flat.reshape(shape))
    ax = ax or plt.gca()
    rasterised = len(r) > _VECTORS  # an SVG with a shape per row would be large
    for name, rows in _parts(values, by, len(r)):
        across, up = position[rows].T
        ax.plot(across, up, ".", markersize=4, alpha=0.6, label=name, rasterized=rasterised)
    across, up = position[r > flagged].T
    ring = ax.plot(across, up, "o", markersize=8, label="flagged", rasterized=rasterised)[0]
    ring.set(markerfacecolor="none", markeredgecolor="tab:red")
    axis = "principal component" if shape[1] > 2 else "feature"
    ax.set_xlabel(f"{axis} 1")
    ax.set_ylabel(f"{axis} 2")
    ax.set_title("Where the flagged rows are")
    ax.legend(fontsize="small")
    return ax


def _parts(values: Any, by: Any, rows: int) -> list[tuple[str, np.ndarray]]:
    """Return the name and the rows of each group, the largest group first."""
    if by is None:
        return [("row", np.ones(rows, bool))]
    groups = groups_of(values, by, rows).astype(str)
    sizes = groups.value_counts()
    parts = [
        (name.replace("$", r"\$"), (groups == name).to_numpy()) for name in sizes.index[:_COLOURS]
    ]
    if len(sizes) > _COLOURS:
        parts.append(("other groups", groups.isin(sizes.index[_COLOURS:]).to_numpy()))
    return parts


def _position(features: np.ndarray) -> np.ndarray:
    """Return two columns as they are, and the first two principal components of more."""
    if features.shape[1] == 2:
        return features
    spread = features.std(0)
    scaled = (features - features.mean(0)) / np.where(spread > 0, spread, 1)
    _, directions = np.linalg.eigh(scaled.T @ scaled)
    return np.asarray(scaled @ directions[:, :-3:-1])
