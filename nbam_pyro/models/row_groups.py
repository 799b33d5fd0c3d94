"""Groups of rows that lie together in their features, found by mixtures of round clusters."""

import warnings
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

__all__ = ["Apart", "group_apart", "row_groups"]

# Numbers of clusters, fewest rows of a group, and rows above which a sample is clustered.
_CLUSTERS, _FEWEST, _ROWS = (2, 3), 3, 2000
# Two clusters are apart if the distance of their centres, in units of the mean standard deviation
# of both along the line between the centres, is at least the first number plus the second divided
# by the number of rows. Halves of one Normal (2.7) or uniform (3.5) cloud have less. With the root
# mean square (Ashman's D), a dense cluster beside a wide one would hardly count as dense.
_APART, _CHANCE = 3.9, 32.0


def row_groups(h: Tensor) -> list[Tensor]:
    """Return groups of rows that lie together, each of at most half of the rows, (N,) boolean.

    Args:
        h: Features of the rows, (N, D).
    """
    points = _scaled(h)
    found: list[Tensor] = []
    for count in _CLUSTERS:
        label = _clusters(points, count)
        if label is None:
            break
        for number in range(count):
            rows = torch.as_tensor(label == number)
            if _FEWEST <= int(rows.sum()) <= len(points) / 2:
                found.append(rows)
    return found


class Apart(NamedTuple):
    """A group of rows that is clearly apart from the others.

    Attributes:
        rows: Booleans that are True for the rows of the group, (N,).
        middle: Point half way between the group and the other rows, (D,).
        way: Direction from the other rows to the group, (D,). Its scalar product with h - middle is
            -1/2 at the centre of the other rows and 1/2 at the centre of the group.
    """

    rows: Tensor
    middle: Tensor
    way: Tensor


def group_apart(h: Tensor) -> Apart | None:
    """Return the group of less than half of the rows that is clearly apart, if there is one.

    Args:
        h: Features of the rows, (N, D).
    """
    points = _scaled(h)
    label = _clusters(points, 2)
    if label is None:
        return None
    sizes = np.bincount(label, minlength=2)
    if sizes[0] == sizes[1] or sizes.min() < _FEWEST:
        return None
    group = label == int(sizes.argmin())
    own, others = points[group].mean(0), points[~group].mean(0)
    way = (own - others) / ((own - others) @ (own - others))
    along = points @ way
    scatter = (along[group].std() + along[~group].std()) / 2
    if scatter * (_APART + _CHANCE / len(points)) > 1:
        return None
    # Back to the units of h.
    centre, scale = _units(h)
    middle = torch.as_tensor((own + others) / 2).to(h) * scale + centre
    return Apart(torch.as_tensor(group), middle, torch.as_tensor(way).to(h) / scale)


def _units(h: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of every column, (D,); 1 for a constant column."""
    scale = h.std(0, correction=0)
    return h.mean(0), torch.where(scale > 0, scale, torch.ones_like(scale))


def _scaled(h: Tensor) -> np.ndarray:
    centre, scale = _units(h)
    return ((h - centre) / scale).detach().cpu().double().numpy()


def _clusters(points: np.ndarray, count: int) -> np.ndarray | None:
    """Return the index of the cluster of each row, (N,); None if there are too few rows."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    kept = points[:: -(-len(points) // _ROWS)]
    if len(np.unique(kept, axis=0)) < 2 * _FEWEST * count:
        return None
    # Round clusters of different size: k-means would give the rim of a wide cluster to a tight one.
    mixture = GaussianMixture(count, covariance_type="spherical", n_init=3, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        label: np.ndarray = mixture.fit(kept).predict(points)
    return label
