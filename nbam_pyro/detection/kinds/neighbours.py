"""`Neighbours`: distances to near training rows, and `LocalDensity`: compared with theirs."""

from dataclasses import dataclass
from typing import final

import numpy as np

from nbam_pyro.detection.kinds.base import Kind, Learned
from nbam_pyro.detection.kinds.parts import distances, drawn
from nbam_pyro.models.likelihoods.component import check_whole

__all__ = ["LocalDensity", "Neighbours"]

# A neighbour is at most this part of the rows of a part, or normal rows would have too few.
_QUARTER = 4
# Smallest reachable distance, in units of the median distance to the last neighbour. Without it,
# rows beside several equal rows would have an almost infinite density.
_FLOOR = 0.1


@final
@dataclass(frozen=True, kw_only=True)
class Neighbours(Kind):
    """The distance to the k-th nearest row of a random part of the training rows.

    In a part of 256 rows, the tenth neighbour is a row among the nearest 4 %. Anomalies that lie
    together are found if they are fewer than that.

    Args:
        parts: Number R of random parts.
        rows: Largest number of rows in a part.
        nearest: Number k of the neighbour whose distance counts. It is smaller in small parts.

    Raises:
        DataError: A number is not a whole number above 0.

    Source: Ramaswamy, Rastogi & Shim (2000); Sugiyama & Borgwardt (2013), for random parts.

    Example:
        >>> x = np.r_[np.random.default_rng(0).normal(size=(99, 2)), [[9.0, 9.0]]]
        >>> kind = Neighbours()
        >>> scores = kind.scores(kind.learn(x, np.random.default_rng(0)), x)
        >>> scores.shape, int(scores.mean(0).argmax())
        ((5, 100), 99)
    """

    parts: int = 5
    rows: int = 256
    nearest: int = 10

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            check_whole(name, value, least=1)

    def learn(self, x: np.ndarray, rng: np.random.Generator) -> Learned:
        return {"parts": drawn(x, parts=self.parts, rows=self.rows, rng=rng)}

    def scores(self, learned: Learned, x: np.ndarray) -> np.ndarray:
        parts = learned["parts"]
        last = min(self.nearest, parts.shape[1] - 1) - 1
        return np.stack([np.partition(distances(x, part), last)[:, last] for part in parts])


@final
@dataclass(frozen=True, kw_only=True)
class LocalDensity(Kind):
    r"""The density around the neighbours of a row, compared with the density around the row.

    The score is the logarithm of the local outlier factor, in random parts of the training rows:

    .. math::
        \log \frac{1}{k} \sum_{o \in N_k(x)} \rho(o) - \log \rho(x), \qquad
        \rho(x)^{-1} = \frac{1}{k} \sum_{o \in N_k(x)} \max(d(x, o), d_k(o))

    N_k(x) are the k nearest rows of a part, d is the distance, and d_k(o) is the distance of row o
    to its own k-th neighbour.

    Args:
        parts: Number R of random parts.
        rows: Largest number of rows in a part.
        nearest: Number k of neighbours, at most a quarter of the rows of a part.

    Raises:
        DataError: A number is not a whole number above 0.

    Source: Breunig et al. (2000).

    Example:
        >>> rng = np.random.default_rng(0)
        >>> x = np.r_[rng.normal(size=(99, 2)) * 0.1, [[1.0, 1.0]], 5 + rng.normal(size=(99, 2))]
        >>> kind = LocalDensity(nearest=10)
        >>> int(kind.scores(kind.learn(x, rng), x).mean(0).argmax())
        99
    """

    parts: int = 5
    rows: int = 256
    nearest: int = 20

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            check_whole(name, value, least=1)

    def learn(self, x: np.ndarray, rng: np.random.Generator) -> Learned:
        parts = drawn(x, parts=self.parts, rows=self.rows, rng=rng)
        pairs = [self._nearest(part, part) for part in parts]
        far = np.stack([near[:, -1] for near, _ in pairs])
        middle = np.median(far, axis=1, keepdims=True)
        reach = np.maximum(far, np.where(middle > 0, _FLOOR * middle, 1.0))
        density = [_density(near, at, own) for (near, at), own in zip(pairs, reach, strict=True)]
        return {"parts": parts, "reach": reach, "density": np.stack(density)}

    def scores(self, learned: Learned, x: np.ndarray) -> np.ndarray:
        return np.stack(
            [
                self._of_part(x, part, reach, density)
                for part, reach, density in zip(
                    learned["parts"], learned["reach"], learned["density"], strict=True
                )
            ]
        )

    def _of_part(
        self, x: np.ndarray, part: np.ndarray, reach: np.ndarray, density: np.ndarray
    ) -> np.ndarray:
        near, at = self._nearest(x, part)
        return np.asarray(np.log(density[at].mean(1)) - np.log(_density(near, at, reach)))

    def _nearest(self, x: np.ndarray, part: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return distances to the nearest rows of a part, and their indices, (M, k) each."""
        count = max(1, min(self.nearest, len(part) // _QUARTER))
        found = distances(x, part)
        at = np.argsort(found, axis=1, kind="stable")[:, :count]
        return np.take_along_axis(found, at, 1), at


def _density(near: np.ndarray, at: np.ndarray, reach: np.ndarray) -> np.ndarray:
    return np.asarray(1 / np.maximum(near, reach[at]).mean(1))
