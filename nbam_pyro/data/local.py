"""Contamination in one region of feature space only."""

from dataclasses import dataclass

import numpy as np

from nbam_pyro.data.corruption import Corruption
from nbam_pyro.data.flat import flat_features
from nbam_pyro.errors import DataError

__all__ = ["Local", "half_space"]


@dataclass(frozen=True)
class Local(Corruption):
    """Any contamination, in a region only; its rate is that among the rows of the region.

    Args:
        how: what contamination does there.
        region: which rows are in the region, (N,) booleans, for instance from `half_space`.

    Raises:
        DataError: the region is no array of booleans, holds no row, or has another number of rows
            than the values.

    Example:
        >>> from nbam_pyro.data import PairFlips, contaminate
        >>> region = np.arange(10) < 5
        >>> contaminate(np.zeros(10, int), Local(PairFlips(3), region), rate=1.0, seed=0).observed
        array([1, 1, 1, 1, 1, 0, 0, 0, 0, 0])
    """

    how: Corruption
    region: np.ndarray

    def __post_init__(self) -> None:
        # A copy, so that later changes of the caller's array do not escape the check.
        region = np.array(self.region)
        if region.dtype != bool or region.ndim != 1 or not region.any():
            raise DataError(
                f"region is of type {region.dtype}, shape {region.shape} and holds "
                f"{np.count_nonzero(region)} rows; give booleans, (N,), of which some are true."
            )
        object.__setattr__(self, "region", region)

    def groups(self, values: np.ndarray) -> list[np.ndarray]:
        if len(values) != len(self.region):
            raise DataError(
                f"region has {len(self.region)} rows and there are {len(values)} values."
            )
        return [rows[self.region[rows]] for rows in self.how.groups(values)]

    def choose(self, rows: np.ndarray, rate: float, rng: np.random.Generator) -> np.ndarray:
        return self.how.choose(rows, rate, rng)

    def corrupt(self, values: np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return self.how.corrupt(values, rows, rng)


def half_space(x: np.ndarray, *, share: float, direction: np.ndarray | None = None) -> np.ndarray:
    """The rows on one side of a hyperplane, those farthest along a direction.

    Args:
        x: features of all rows, (N, ...), flattened here.
        share: of the rows that are on that side, in (0, 1]; at least one row, and those level with
            the last one are on that side too.
        direction: normal of the hyperplane, as many numbers as a row has features; the leading
            principal direction by default.

    Returns:
        which rows are on that side, (N,) booleans.

    Raises:
        DataError: x is empty or not finite, all rows are level along the direction, the direction
            has another size or is not finite, or the share is outside (0, 1].

    Example:
        >>> half_space(np.array([[0.0, 5.0], [1.0, 5.0], [2.0, 5.0], [9.0, 5.0]]), share=0.5)
        array([False, False,  True,  True])
    """
    features = flat_features(x)
    if not 0 < share <= 1:
        raise DataError(f"share is {share}; a half-space holds a share of the rows in (0, 1].")
    along = _principal(features) if direction is None else flat_features(direction).ravel()
    if len(along) != features.shape[1]:
        raise DataError(f"direction has {len(along)} numbers and a row {features.shape[1]}.")
    # Row by row, not in BLAS's blocks, so that equal rows are level to the last bit.
    heights = np.einsum("ns,s->n", features, along)
    if np.ptp(heights) == 0:
        raise DataError("All rows of x are level along the direction; name another direction.")
    count = max(1, round(share * len(heights)))
    return heights >= np.sort(heights)[-count]


def _principal(features: np.ndarray) -> np.ndarray:
    from sklearn.decomposition import PCA

    if not np.ptp(features, axis=0).any():
        raise DataError("All rows of x are alike; no hyperplane divides them.")
    return PCA(1, random_state=0).fit(features).components_[0]
