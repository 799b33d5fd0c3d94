"""`Isolation`: how few random cuts separate a row from others."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from sklearn.ensemble import IsolationForest

from nbam_pyro.detection.kinds.base import Kind, Learned
from nbam_pyro.models.likelihoods.component import check_whole

__all__ = ["Isolation"]


@final
@dataclass(frozen=True, kw_only=True)
class Isolation(Kind):
    """An isolation forest: the fewer random cuts separate a row from others, the higher its score.

    scikit-learn grows the trees, each on a random part of the training rows. They are kept as
    arrays, which can be saved without pickle.

    Args:
        parts: Number R of parts of the forest that score separately.
        trees: Number of trees in each part.
        rows: Largest number of rows that a tree is grown on.

    Raises:
        DataError: A number is not a whole number above 0.

    Source: Liu, Ting & Zhou (2008).

    Example:
        >>> x = np.r_[np.random.default_rng(0).normal(size=(99, 2)), [[9.0, 9.0]]]
        >>> kind = Isolation()
        >>> scores = kind.scores(kind.learn(x, np.random.default_rng(0)), x)
        >>> scores.shape, int(scores.mean(0).argmax())
        ((4, 100), 99)
    """

    parts: int = 4
    trees: int = 50
    rows: int = 256

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            check_whole(name, value, least=1)

    def learn(self, x: np.ndarray, rng: np.random.Generator) -> Learned:
        size = min(self.rows, len(x))
        forest = IsolationForest(
            n_estimators=self.parts * self.trees,
            max_samples=size,
            random_state=int(rng.integers(2**31)),
        ).fit(x)
        trees = [one.tree_ for one in forest.estimators_]
        return {
            "feature": _padded([np.maximum(tree.feature, 0) for tree in trees]),
            "threshold": _padded([tree.threshold for tree in trees]),
            "children": np.stack(
                [_padded(side) for side in zip(*map(_children, trees), strict=True)]
            ),
            "cuts": _padded([_cuts(tree) for tree in trees]),
            "usual": _paths(np.array([float(size)])),
        }

    def scores(self, learned: Learned, x: np.ndarray) -> np.ndarray:
        # scikit-learn grows the trees on this type, too.
        cuts = _walk(learned, x.astype(np.float32))
        cuts = cuts.reshape(len(x), self.parts, self.trees).mean(2)
        return np.asarray(2.0 ** -(cuts / np.maximum(learned["usual"], 1.0))).T


def _walk(learned: Learned, x: np.ndarray) -> np.ndarray:
    """Return the number of cuts that separate each row from others in each tree, (M, T)."""
    left, right = learned["children"]
    tree, row = np.arange(len(left)), np.arange(len(x))[:, None]
    node = np.zeros((len(x), len(left)), dtype=int)
    while True:
        below = x[row, learned["feature"][tree, node]] <= learned["threshold"][tree, node]
        following = np.where(below, left[tree, node], right[tree, node])
        # A child has a higher number than its parent, except that a leaf is its own child.
        following = np.maximum(following, node)
        if (following == node).all():
            return np.asarray(learned["cuts"][tree, node])
        node = following


def _children(tree: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the left and the right child of each node. A leaf is its own child."""
    itself = np.arange(tree.node_count)
    leaf = tree.children_left < 0
    return (
        np.where(leaf, itself, tree.children_left),
        np.where(leaf, itself, tree.children_right),
    )


def _cuts(tree: Any) -> np.ndarray:
    """Return the number of cuts that separate a row in each node from others: a leaf's depth.

    Cuts that would separate the rows of a leaf are added as their expected number.
    """
    depth = np.zeros(tree.node_count)
    for node in range(tree.node_count):
        for child in (tree.children_left[node], tree.children_right[node]):
            if child >= 0:
                depth[child] = depth[node] + 1
    return depth + _paths(tree.n_node_samples.astype(float))


def _paths(rows: np.ndarray) -> np.ndarray:
    """Return the expected number of random cuts that separate one of some rows from the others."""
    many = np.log(np.maximum(rows - 1, 1.0)) + np.euler_gamma
    return np.where(rows > 2, 2 * many - 2 * (rows - 1) / rows, np.where(rows == 2, 1.0, 0.0))


def _padded(arrays: Sequence[np.ndarray]) -> np.ndarray:
    size = max(map(len, arrays))
    return np.stack([np.pad(one, (0, size - len(one))) for one in arrays])
