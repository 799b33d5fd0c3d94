"""Do rows that look alike bear out what a fit calls wrong?"""

import numpy as np
import torch
from sklearn.neighbors import NearestNeighbors

from nbam_pyro.models import Standardise

# The label of a row is compared with those of so many others.
_NEIGHBOURS = 9
# Neighbours are sought among so many rows, and for so many flagged ones.
_AMONG, _FLAGGED = 5_000, 500


def echoed(
    x: np.ndarray, labels: np.ndarray, flagged: np.ndarray, predicted: np.ndarray
) -> float | None:
    """How much more often neighbours of flagged rows have the flagged label than the fit predicts.

    A label that is wrong by accident is that of the rows around it as often as flips make it so.
    Where it is so far more often, labels that the network cannot explain are not for that reason
    wrong: it fits less well than the neighbours do, or mistakes depend on x. This is a posterior
    predictive check.

    Args:
        x: columns of a table, (N, D), finite.
        labels: observed labels, (N,).
        flagged: which rows are more probably wrong than right, (N,) booleans.
        predicted: p(observed label | x) by the fit, (N, K).

    Returns:
        the share of neighbours with the label of the flagged row, less the share predicted; None
        where nothing is flagged or there are no more rows than neighbours.

    Example:
        >>> x = np.arange(40.0)[:, None]
        >>> labels = (x[:, 0] > 30).astype(int)
        >>> predicted = np.full((40, 2), [0.8, 0.2])
        >>> round(echoed(x, labels, labels == 1, predicted), 1)
        0.6
        >>> labels[3] = 1
        >>> round(echoed(x, labels, np.arange(40) == 3, predicted), 1)
        -0.2
    """
    if not flagged.any() or len(x) <= _NEIGHBOURS:
        return None
    rng = np.random.default_rng(0)
    among = rng.permutation(len(x))[:_AMONG]
    asked = rng.permutation(np.flatnonzero(flagged))[:_FLAGGED]
    rows = torch.as_tensor(x[among])
    scale = Standardise.of(rows)
    near = NearestNeighbors(n_neighbors=_NEIGHBOURS + 1).fit(scale(rows).numpy())
    found = near.kneighbors(scale(torch.as_tensor(x[asked])).numpy(), return_distance=False)
    places = among[found]
    others = places != asked[:, None]
    # The furthest is left out where the row itself is not among its neighbours.
    others[others.all(1), -1] = False
    same = labels[places] == labels[asked][:, None]
    expected = predicted[places, labels[asked][:, None]]
    return float((same - expected)[others].mean())
