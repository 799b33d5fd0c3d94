"""Folds of rows, of labels stratified where there are enough of each."""

from collections.abc import Iterable

import numpy as np
from sklearn.model_selection import KFold, StratifiedKFold


def split(y: np.ndarray, folds: int, *, seed: int) -> Iterable[tuple[np.ndarray, np.ndarray]]:
    """Rows outside and inside each fold.

    Args:
        y: targets, (N, ...); one whole number per row is a label.
        folds: how many, at most N.
        seed: of the shuffle.

    Example:
        >>> [own.tolist() for _, own in split(np.array([0, 0, 1, 1]), 2, seed=0)]
        [[1, 2], [0, 3]]
    """
    labels = y.ndim == 1 and y.dtype.kind in "iu"
    enough = labels and np.unique(y, return_counts=True)[1].min() >= folds
    kind = StratifiedKFold if enough else KFold
    return kind(folds, shuffle=True, random_state=seed).split(y, y)
