"""Contamination in one region of the feature space only."""

from dataclasses import dataclass

import numpy as np

from nbam_pyro.data.corruption import Corruption
from nbam_pyro.data.flat import flat_features
from nbam_pyro.errors import DataError

__all__ = ["Local", "half_space"]


@dataclass(frozen=True)
class Local(Corruption):
    """Contamination of any kind in one region; the rate is a share of the rows in the region.

    Args:
        how: Kind of contamination.
        region: True where a row is in the region, (N,) booleans, for instance from `half_space`.

    Raises:
        DataError: The region is not an array of booleans, contains no row, or its number of rows is
            not that of the values.

    Example:
        >>> from nbam_pyro.data import PairFlips, contaminate
        >>> region = np.arange(10) < 5
        >>> contaminate(np.zeros(10, int), Local(PairFlips(3), region), rate=1.0, seed=0).observed
        array([1, 1, 1, 1, 1, 0, 0, 0, 0, 0])
    """

    how: Corruption
    region: np.ndarray

    def __post_init__(self) -> None:
        # A copy, so that later changes of the caller's array have no effect.
        region = np.array(self.region)
        if region.dtype != bool or region.ndim != 1 or not region.any():
            raise DataError(
                f"region has type {region.dtype}, shape {region.shape} and "
                f"{np.count_nonzero(region)} rows; expected booleans, (N,), some of them True."
            )
        object.__setattr__(self, "region", region)

    def groups(self, values: np.ndarray) -> list[np.ndarray]:
        if len(values) != len(self.region):
            raise DataError(
                f"region has {len(self.region)} rows, but there are {len(values)} values. Give one "
                "boolean per value."
            )
        return [rows[self.region[rows]] for rows in self.how.groups(values)]

    def choose(self, rows: np.ndarray, rate: float, rng: np.random.Generator) -> np.ndarray:
        return self.how.choose(rows, rate, rng)

    def corrupt(self, values: np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return self.how.corrupt(values, rows, rng)


def half_space(x: np.ndarray, *, share: float, direction: np.ndarray | None = None) -> np.ndarray:
    """Return the rows on one side of a hyperplane: those that lie farthest along a direction.

    Args:
        x: Features of all rows, (N, ...). They are flattened.
        share: Share of the rows to return, in (0, 1]: the rows that lie farthest along the
            direction. At least one row is returned, and rows that lie as far as the last one are
            included.
        direction: Normal vector of the hyperplane, with one number per feature; None for the first
            principal direction.

    Returns:
        True where a row is on that side, (N,) booleans.

    Raises:
        DataError: x is empty or not finite, the projections of all rows on the direction are equal,
            the direction has another size or is not finite, or the share is outside (0, 1].

    Example:
        >>> half_space(np.array([[0.0, 5.0], [1.0, 5.0], [2.0, 5.0], [9.0, 5.0]]), share=0.5)
        array([False, False,  True,  True])
    """
    features = flat_features(x)
    if not 0 < share <= 1:
        raise DataError(f"share is {share}; it must be in (0, 1].")
    along = _principal(features) if direction is None else flat_features(direction).ravel()
    if len(along) != features.shape[1]:
        raise DataError(
            f"direction has {len(along)} numbers, but rows have {features.shape[1]} features. Give "
            "one number per feature."
        )
    # einsum computes row by row, so that equal rows have exactly equal heights; BLAS may not.
    heights = np.einsum("ns,s->n", features, along)
    if np.ptp(heights) == 0:
        raise DataError(
            "All rows of x have the same projection on the direction. Give another direction."
        )
    count = max(1, round(share * len(heights)))
    return heights >= np.sort(heights)[-count]


def _principal(features: np.ndarray) -> np.ndarray:
    from sklearn.decomposition import PCA

    if not np.ptp(features, axis=0).any():
        raise DataError("All rows of x are equal, so no hyperplane can divide them.")
    return PCA(1, random_state=0).fit(features).components_[0]
