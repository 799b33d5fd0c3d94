"""Division of rows into folds."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from nbam_pyro.errors import DataError

__all__ = ["row_hashes", "split", "together"]

# Rows that are copied at once.
_BLOCK = 10_000


def split(
    y: np.ndarray, folds: int, *, seed: int, groups: np.ndarray | None = None
) -> Iterable[tuple[np.ndarray, np.ndarray]]:
    """Divide rows into folds, and return the rows outside and inside each fold.

    The folds are stratified: each label has about the same share in every fold. This needs one
    label per row and at least as many rows of each label as there are folds.

    Args:
        y: Targets, (N, *dims). Whole numbers, one per row, are labels.
        folds: Number of folds, from 2 to N. With fewer groups than folds there are as many folds
            as groups.
        seed: Seed of the random order of the rows.
        groups: Index of the group of each row, (N,). No fold divides a group. None if there are no
            groups. If there is only one group, it is ignored.

    Returns:
        For each fold, the indices of the rows outside the fold and of those inside it.

    Example:
        >>> [own.tolist() for _, own in split(np.array([0, 0, 1, 1]), 2, seed=0)]
        [[1, 2], [0, 3]]
        >>> pairs = np.array([0, 0, 1, 1])
        >>> sorted(own.tolist() for _, own in split(np.zeros(4), 2, seed=0, groups=pairs))
        [[0, 1], [2, 3]]
    """
    from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

    count = 1 if groups is None else len(np.unique(groups))
    folds = folds if count == 1 else min(folds, count)
    labels = y.ndim == 1 and y.dtype.kind in "iu"
    enough = labels and np.unique(y, return_counts=True)[1].min() >= folds
    kinds = (StratifiedKFold, KFold) if count == 1 else (StratifiedGroupKFold, GroupKFold)
    chosen = kinds[0] if enough else kinds[1]
    return chosen(folds, shuffle=True, random_state=seed).split(
        y, y, None if count == 1 else groups
    )


def together(x: Any, groups: Any = None, *, count: int | None = None) -> np.ndarray | None:
    """Return the group of each row, (N,), that no fold may divide; None without groups.

    Rows that are exactly equal belong together: a model that has seen one of them has seen both.
    This does not hold for a table of few categories, in which fewer than half of the rows differ.

    Args:
        x: Rows of a table, (N, D); None if the rows are not a table.
        groups: Name or number of the group of each row, (N,), such as a patient; None if there are
            no groups.
        count: Number of rows N, if the rows are not a table; None means the length of x.

    Raises:
        DataError: `groups` does not have one value per row.

    Example:
        >>> together(np.array([[1.0], [2.0], [1.0], [3.0]]), ["a", "a", "b", "c"])
        array([0, 0, 0, 1])
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    parts = []
    if x is not None:
        count = len(x)
        rows = row_hashes(x)
        if 2 * len(np.unique(rows)) >= len(rows):
            parts.append(rows.tolist())
    if groups is not None:
        values = np.asarray(groups)
        if values.ndim != 1 or count not in (None, len(values)):
            raise DataError(
                f"groups has shape {values.shape}. Give the name or number of the group of each "
                "row, one value per row."
            )
        parts.append(values.tolist())
    if not parts:
        return None
    numbers = _numbered(parts[0])
    if len(parts) == 2:  # rows that share one of both are joined, and rows that share it with those
        other = numbers.max() + 1 + _numbered(parts[1])
        edges = coo_array((np.ones(len(other)), (numbers, other)), shape=(other.max() + 1,) * 2)
        joined = connected_components(edges, directed=False)[1][numbers]
        numbers = _numbered(joined.tolist())
    return None if numbers.max() + 1 == len(numbers) else numbers


def row_hashes(x: Any) -> np.ndarray:
    """Return a number for each row of a table, (N,), that is the same for equal rows only.

    Rows of different numbers get the same one by chance, with a probability of about 1e-19 a pair.

    Args:
        x: Rows of numbers, (N, D).

    Example:
        >>> len(np.unique(row_hashes(np.array([[0.0], [-0.0], [1.0]]))))
        2
    """
    found = np.empty(len(x), dtype=np.int64)
    for start in range(0, len(x), _BLOCK):
        block = np.ascontiguousarray(x[start : start + _BLOCK]) + 0.0  # -0.0 becomes 0.0
        found[start : start + len(block)] = [hash(row.tobytes()) for row in block]
    return found


def _numbered(values: list[Any]) -> np.ndarray:
    """Return the index of each value in the order of first appearance, (N,)."""
    seen: dict[Any, int] = {}
    return np.array([seen.setdefault(value, len(seen)) for value in values])
