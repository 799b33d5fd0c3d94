"""Division of rows into folds."""

from collections.abc import Iterable

import numpy as np
from sklearn.model_selection import KFold, StratifiedKFold


def split(y: np.ndarray, folds: int, *, seed: int) -> Iterable[tuple[np.ndarray, np.ndarray]]:
    """Divide rows into folds, and return the rows outside and inside each fold.

    The folds are stratified: each label has about the same share in every fold. This needs one
    label per row and at least as many rows of each label as there are folds.

    Args:
        y: Targets, (N, *dims). Whole numbers, one per row, are labels.
        folds: Number of folds, from 2 to N.
        seed: Seed of the random order of the rows.

    Returns:
        For each fold, the indices of the rows outside the fold and of those inside it.

    Example:
        >>> [own.tolist() for _, own in split(np.array([0, 0, 1, 1]), 2, seed=0)]
        [[1, 2], [0, 3]]
    """
    labels = y.ndim == 1 and y.dtype.kind in "iu"
    enough = labels and np.unique(y, return_counts=True)[1].min() >= folds
    kind = StratifiedKFold if enough else KFold
    return kind(folds, shuffle=True, random_state=seed).split(y, y)
