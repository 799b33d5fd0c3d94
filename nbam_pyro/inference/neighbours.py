"""Do rows that look alike bear out what a fit calls wrong?"""

import numpy as np
import torch
from sklearn.neighbors import NearestNeighbors

from nbam_pyro.models import Standardise

# The label of a row is compared with those of so many others.
_NEIGHBOURS = 9
# Neighbours are sought among so many rows, and for so many flagged ones.
_AMONG, _FLAGGED = 5_000, 500


def alike(x: np.ndarray, labels: np.ndarray, flagged: np.ndarray) -> float | None:
    """The share of flagged rows of which most of the nearest other rows have the same label.

    A label that is wrong by accident is rarely that of the rows around it. Where most flagged ones
    are, the network fits less well than the neighbours do, or mistakes depend on x: labels that it
    cannot explain are not for that reason wrong.

    Args:
        x: columns of a table, (N, D), finite.
        labels: observed labels, (N,).
        flagged: which rows are more probably wrong than right, (N,) booleans.

    Returns:
        the share, or None where nothing is flagged or there are no more rows than neighbours.

    Example:
        >>> x = np.arange(40.0)[:, None]
        >>> labels = (x[:, 0] > 30).astype(int)
        >>> alike(x, labels, labels == 1), alike(x, labels, np.arange(40) == 3)
        (1.0, 1.0)
        >>> labels[3] = 1
        >>> alike(x, labels, np.arange(40) == 3)
        0.0
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
    same = (labels[places] == labels[asked][:, None]) & others
    return float((same.sum(1) > others.sum(1) / 2).mean())
