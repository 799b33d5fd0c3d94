"""`UsedRows`, the rows that an estimator fits."""

from typing import NamedTuple

import numpy as np

from nbam_pyro.verified import Verified


class UsedRows(NamedTuple):
    """The rows of a fit: those with a target and a weight above 0.

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
