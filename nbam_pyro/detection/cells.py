"""Cells of feature grids as rows: averages over neighbourhoods, whitening, near neighbours."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import uniform_filter
from sklearn.neighbors import NearestNeighbors

__all__ = ["NearCells", "Whitening", "averaged", "spread_of"]

# Part of the mean variance that is added to each direction, so that constant features count little.
_RIDGE = 1e-3
# Neighbour whose distance counts, as a part of the cells from which the detector learns. It and the
# floor were chosen on three tasks like those of the benchmark loe-maps, with other random numbers.
_NEAREST = 0.01
# Part of the median spread of all places that is added to the spread of each place.
_FLOOR = 0.2


def averaged(grid: np.ndarray, width: int) -> np.ndarray:
    """Return features of cells, averaged over their neighbourhoods, (N h w, D) float64.

    Args:
        grid: Features, (N, h, w, D).
        width: Width of the neighbourhood in cells, an odd number.
    """
    smooth = uniform_filter(grid.astype(np.float64), (0, width, width, 0), mode="nearest")
    return np.asarray(smooth.reshape(-1, grid.shape[3]))


@dataclass(frozen=True, kw_only=True)
class Whitening:
    """Principal components of cells, each divided by its standard deviation.

    Attributes:
        centre: Mean of the cells, (D,).
        matrix: Directions, (D, K).
    """

    centre: np.ndarray
    matrix: np.ndarray

    @classmethod
    def of(cls, cells: np.ndarray, *, components: int) -> "Whitening":
        """Return the whitening of the leading components of cells.

        Args:
            cells: Features of cells, (M, D).
            components: Largest number K of components.
        """
        centre = cells.mean(0)
        variance, directions = np.linalg.eigh(np.cov(cells.T).reshape(cells.shape[1], -1))
        ridge = max(_RIDGE * variance.mean(), np.finfo(float).tiny)
        kept = slice(None, -min(components, len(variance)) - 1, -1)
        matrix = directions[:, kept] / np.sqrt(variance[kept].clip(0) + ridge)
        # Products with a saved matrix are the same to the last bit only in the same order of bytes.
        return cls(centre=centre, matrix=np.ascontiguousarray(matrix))

    def __call__(self, cells: np.ndarray) -> np.ndarray:
        """Return the components of cells, (M, K).

        Args:
            cells: Features of cells, (M, D).
        """
        return np.asarray((cells - self.centre) @ self.matrix)


class NearCells:
    """The distance within which the nearest rows lie.

    Attributes:
        cells_: Rows that were kept, (M, K).
        nearest_: Number of the neighbour whose distance is the score, 1 for the nearest one.
    """

    cells_: np.ndarray
    nearest_: int
    _found: NearestNeighbors

    @classmethod
    def among(cls, cells: np.ndarray, *, nearest: int) -> "NearCells":
        """Return the distance to a neighbour among rows.

        Args:
            cells: Rows, (M, K).
            nearest: Number of the neighbour, from 1 to M.
        """
        near = cls()
        near.cells_, near.nearest_ = cells, nearest
        near._found = NearestNeighbors(n_neighbors=nearest, algorithm="brute").fit(cells)
        return near

    def fit(self, X: np.ndarray) -> "NearCells":
        """Keep rows, (M, K)."""
        return self.among(X, nearest=min(len(X), 1 + round(_NEAREST * len(X))))

    def decision_function(self, X: np.ndarray) -> np.ndarray:
        """Return the distances of rows, (M,)."""
        return np.asarray(self._found.kneighbors(X)[0][:, -1])


def spread_of(raw: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Return the spread of the scores of each place, (h, w): the median absolute deviation.

    A part of the median of all places is added to it. The spread is 1 if this is 0.

    Args:
        raw: Scores of cells, (N, h, w).
        place: Median score of each place, (h, w).
    """
    deviation = np.median(np.abs(raw - place), axis=0)
    spread = deviation + _FLOOR * np.median(deviation)
    return np.where(spread > 0, spread, 1.0)
