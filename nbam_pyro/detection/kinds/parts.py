"""Random parts of the training rows, and distances of rows to the rows of a part."""

import numpy as np
from scipy.spatial.distance import cdist

__all__ = ["distances", "drawn"]

# The smallest part: the nearest row, and one that may be the scored row itself.
_LEAST = 2


def drawn(x: np.ndarray, *, parts: int, rows: int, rng: np.random.Generator) -> np.ndarray:
    """Draw parts of the training rows, (R, K, D).

    A part has at most half of the rows, so that most rows are scored by rows that they are not
    among.

    Args:
        x: Training rows, (N, D).
        parts: Number of parts, R.
        rows: Largest number of rows in a part.
        rng: Source of randomness.
    """
    size = max(min(rows, len(x) // 2), min(_LEAST, len(x)))
    return np.stack([x[rng.choice(len(x), size, replace=False)] for _ in range(parts)])


def distances(x: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Return the distances of rows to the rows of a part, (M, K).

    A row is not its own neighbour. Therefore one distance of 0 in each row becomes infinite. SciPy
    computes each distance by itself, so it does not depend on the other rows.

    Args:
        x: Rows, (M, D).
        part: Rows of a part, (K, D).

    Example:
        >>> distances(np.array([[0.0], [3.0]]), np.array([[0.0], [0.0], [1.0]]))
        array([[inf,  0.,  1.],
               [ 3.,  3.,  2.]])
    """
    found = cdist(x, part)
    nearest = found.argmin(1)[:, None]
    least = np.take_along_axis(found, nearest, 1)
    np.put_along_axis(found, nearest, np.where(least == 0, np.inf, least), 1)
    return np.asarray(found)
