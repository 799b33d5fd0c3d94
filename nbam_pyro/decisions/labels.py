"""Labels to replace, and weights for training another model."""

from typing import Any

import numpy as np
import pandas as pd

from nbam_pyro.checks.arguments import as_cells, as_number
from nbam_pyro.checks.containers import unwrapped
from nbam_pyro.decisions.probabilities import as_probabilities
from nbam_pyro.errors import DataError

__all__ = ["relabel", "weights"]


def relabel(true_label: Any, labels: Any, *, threshold: float = 0.9) -> pd.DataFrame:
    """Return the labels to replace: those for which another class is probable enough.

    Args:
        true_label: Probability of each true class, given features and observed label, (N, K), for
            instance `fitted.training_rows.true_label`, in any container that `flags` takes.
        labels: Observed labels 0, ..., K-1, the column numbers of true_label, (N,).
        threshold: Smallest posterior probability at which a label is replaced, in (0.5, 1].

    Returns:
        A table with one row per label to replace: row, label, new_label, probability. The sum of
        the probabilities is the expected number of right replacements.

    Raises:
        DataError: There are no rows, shapes do not agree, a number is not in [0, 1], a label is not
            one of the K classes, the columns of a frame are classes in another order, or the
            threshold is out of range.

    Example:
        >>> posterior = np.array([[0.97, 0.03], [0.6, 0.4]])
        >>> relabel(posterior, np.array([1, 1]))
           row  label  new_label  probability
        0    0      1          0         0.97
    """
    posterior = as_probabilities(true_label, "true_label")
    cells = as_cells(labels)
    if posterior.ndim != 2 or cells.shape != posterior.shape[:1]:
        raise DataError(
            f"true_label has shape {posterior.shape} and labels {cells.shape}; expected (N, K) "
            "and (N,)."
        )
    codes = _columns_of(pd.Index(cells), posterior.shape[1], unwrapped(true_label))
    if not 0.5 < as_number(threshold, "threshold") <= 1:
        raise DataError(f"threshold is {threshold}; it must lie in (0.5, 1].")
    best, probability = posterior.argmax(1), posterior.max(1)
    rows = np.flatnonzero((best != codes) & (probability >= threshold))
    return pd.DataFrame(
        {
            "row": rows,
            "label": codes[rows],
            "new_label": best[rows],
            "probability": probability[rows],
        }
    )


def weights(responsibility: Any) -> np.ndarray:
    """Return one minus the responsibilities, as weights for training another model.

    The weighted loss is the expected loss over the clean rows. To leave rows out or to replace
    labels, use `flags` or `relabel` instead.

    Args:
        responsibility: Probabilities that data are contaminated, (N, ...), in any container that
            `flags` takes.

    Raises:
        DataError: There are no rows, or a responsibility is not in [0, 1].

    Example:
        >>> weights(np.array([0.25, 1.0]))
        array([0.75, 0.  ])
    """
    return 1 - as_probabilities(responsibility, "responsibility")


def _columns_of(labels: pd.Index, k: int, posterior: Any) -> np.ndarray:
    """Return labels as column numbers of the posterior, (N,)."""
    if isinstance(posterior, pd.DataFrame):
        names = list(posterior.columns)
        if names != list(range(k)) and set(names) == set(range(k)):
            raise DataError(
                f"The columns of true_label are {names}. Put them in the order of the labels, 0 to "
                f"{k - 1}."
            )
    whole = labels.map(lambda one: isinstance(one, int | np.integer) and 0 <= one < k)
    if not whole.all():
        row = int((~whole.to_numpy(dtype=bool)).argmax())
        raise DataError(
            f"The label in row {row} is {labels[row]!r}; labels must be the column numbers of "
            f"true_label, 0, ..., {k - 1}."
        )
    return labels.to_numpy(dtype=np.int64)
