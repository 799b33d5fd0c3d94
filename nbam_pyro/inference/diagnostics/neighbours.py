"""Compare the labels of flagged rows with the labels of their nearest neighbours."""

import numpy as np
import torch

from nbam_pyro.models import Standardise

# Number of neighbours of each flagged row.
_NEIGHBOURS = 9
# Largest numbers of rows that neighbours are taken from, and of flagged rows.
_AMONG, _FLAGGED = 5_000, 500


def label_excess(
    x: np.ndarray, labels: np.ndarray, flagged: np.ndarray, predicted: np.ndarray
) -> float | None:
    """Return the share of neighbours with the label of a flagged row, minus the predicted share.

    If labels are wrong at random, the nearest rows of a flagged row have the label of the flagged
    row as often as the fit predicts. If they have this label far more often, a flagged label is not
    necessarily wrong: either the network fits less well than a nearest-neighbour rule, or the
    probability of a wrong label depends on x. This is a posterior predictive check.

    Args:
        x: Columns of a table, (N, D), finite.
        labels: Observed labels, (N,).
        flagged: Booleans that are True if a label is more probably wrong than correct, (N,).
        predicted: p(observed label | x) by the fit, (N, K).

    Returns:
        The share of neighbours with the label of the flagged row minus the predicted share. None if
        no row is flagged, or if there are too few rows.

    Example:
        >>> x = np.arange(40.0)[:, None]
        >>> labels = (x[:, 0] > 30).astype(int)
        >>> predicted = np.full((40, 2), [0.8, 0.2])
        >>> round(label_excess(x, labels, labels == 1, predicted), 1)
        0.6
        >>> labels[3] = 1
        >>> round(label_excess(x, labels, np.arange(40) == 3, predicted), 1)
        -0.2
    """
    from sklearn.neighbors import NearestNeighbors

    if not flagged.any() or len(x) <= _NEIGHBOURS:
        return None
    rng = np.random.default_rng(0)
    among = rng.permutation(len(x))[:_AMONG]
    chosen = rng.permutation(np.flatnonzero(flagged))[:_FLAGGED]
    rows = torch.as_tensor(x[among])
    scale = Standardise.of(rows)
    near = NearestNeighbors(n_neighbors=_NEIGHBOURS + 1).fit(scale(rows).numpy())
    found = near.kneighbors(scale(torch.as_tensor(x[chosen])).numpy(), return_distance=False)
    places = among[found]
    others = places != chosen[:, None]
    # If a row is not among its own neighbours, the furthest neighbour is left out.
    others[others.all(1), -1] = False
    same = labels[places] == labels[chosen][:, None]
    expected = predicted[places, labels[chosen][:, None]]
    return float((same - expected)[others].mean())
