"""`UsedRows`, the rows that an estimator fits."""

from typing import Any, NamedTuple

import numpy as np

from nbam_pyro.errors import DataError
from nbam_pyro.verified import Verified


class UsedRows(NamedTuple):
    """The rows of a fit: the rows with a target and a weight above 0.

    Attributes:
        x: Features, (n, ...).
        y: Encoded targets, (n,).
        weights: Weights, (n,).
        verified: Verified switches and true labels.
        groups: Group of each row, (n,); None without groups.
    """

    x: np.ndarray
    y: np.ndarray
    weights: np.ndarray
    verified: Verified
    groups: np.ndarray | None


def groups_of(groups: Any, used: np.ndarray) -> np.ndarray | None:
    """Return the groups of the rows that are used, (n,); None without groups.

    Args:
        groups: Identifier of the group of each row, a text or a number, (N,); None for no groups.
        used: Booleans that mark the rows that are used, (N,).

    Raises:
        DataError: There are more or fewer groups than rows.
    """
    if groups is None:
        return None
    values = np.asarray(groups)
    if values.shape != used.shape:
        raise DataError(
            f"groups has shape {values.shape}, but X has {len(used)} rows. Give one value per row."
        )
    kept: np.ndarray = values[used]
    return kept
