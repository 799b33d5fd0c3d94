"""`PatchDetector`: where in images the anomalies are, from grids of features."""

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from nbam_pyro.checks.numbers import check_finite
from nbam_pyro.detection.cells import NearCells, Whitening, averaged, spread_of
from nbam_pyro.detection.reporting import report_on, set_report, threshold_from
from nbam_pyro.detection.settings import check_contamination
from nbam_pyro.errors import DataError
from nbam_pyro.models.likelihoods.component import check_whole
from nbam_pyro.outputs.switch_codes import switch_codes

__all__ = ["PatchDetector"]

# Cells that are scored at once, which bounds the memory.
_CELLS = 8192


class PatchDetector(BaseEstimator):
    r"""Finds places in images that are unlike the same place and other places of most images.

    A network without its pooling turns each image into a grid of features. Each cell of the grid
    is a row, here the mean of the cell and the cells around it, in whitened principal components.
    The score of cell c of image i is

    .. math:: m_{ic} = \frac{s(h_{ic}) - \operatorname{median}_j s(h_{jc})}{u_c}

    s is the distance to near ones of some random cells of the training images (the nearest 1 % are
    within this distance), or the score of another detector that was trained on these cells. The
    median over training images j and the spread u_c (the median absolute deviation, with a floor)
    remove what all images have at this place: cells at the border of an image see its padding, and
    score high in every image. The score of an image is the maximum of its map.

    Training images may contain anomalies. Similar anomalies are found if they cover less than 1 %
    of all cells, and at each place less than half of the images. An anomaly that most images have
    at the same place is not found.

    The conventions are those of PyOD: 1 is an anomaly, scores are high for anomalies, and `fit`
    ignores y.

    Args:
        detector: Detector for rows with `fit` and `decision_function`, for instance an
            `AnomalyDetector`. It is copied. None for the distance to neighbours.
        neighbourhood: Width in cells of the square over which features are averaged, an odd number.
        components: Largest number of principal components.
        cells: Largest number of random cells of training images from which the detector learns.
        contamination: Share of the training images to flag, at most one half. With "auto", images
            are flagged that are more probably anomalies than not.
        random_state: Seed for the random cells.

    Attributes:
        maps_: Scores of the cells of the training images, (N, h, w).
        decision_scores_: Scores of the training images, (N,).
        report_: `ContaminationReport` of `from_scores` on these scores. It does not use a given
            `contamination`.
        verdict_: Verdict on what these scores can tell about the anomalies.
        contamination_, contamination_interval_: Share of images with an anomaly among the training
            images, the mean responsibility, with its 90 % interval.
        population_rate_, population_rate_interval_: Probability that a new image has an anomaly.
        threshold_: Score above which an image has an anomaly.
        labels_: Labels of the training images, 1 for an anomaly and 0 for a normal image, (N,).
        detector_: Trained detector of cells.
        whitening_: Whitening of cells.
        place_: Median score of each place of the grid, (h, w).
        spread_: Spread of the scores of each place, (h, w).

    Source: Roth et al. (2022) for neighbours of cells averaged over a neighbourhood; Jiang et al.
    (2022) for anomalies among the training images.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> grid = rng.normal(size=(60, 6, 6, 8))
        >>> grid[:4, 2:4, 2:4] += 6
        >>> detector = PatchDetector(random_state=0).fit(grid)
        >>> detector.maps_.shape, sorted(np.argsort(detector.decision_scores_)[-4:].tolist())
        ((60, 6, 6), [0, 1, 2, 3])
    """

    def __init__(
        self,
        detector: Any = None,
        *,
        neighbourhood: int = 3,
        components: int = 64,
        cells: int = 5000,
        contamination: float | Literal["auto"] = "auto",
        random_state: Any = None,
    ) -> None:
        self.detector = detector
        self.neighbourhood = neighbourhood
        self.components = components
        self.cells = cells
        self.contamination = contamination
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, *, verified: Any = None) -> "PatchDetector":
        """Learn from images of which some may have anomalies.

        Args:
            X: Grids of features, (N, h, w, D), as `image_features` with `pool=False` returns them.
            y: Ignored. Pipelines pass it.
            verified: Codes of verified images, (N,): 1 for an image with an anomaly, 0 for a normal
                image, and -1, NaN or None where nothing is verified. None if no image is verified.
                The detector of cells does not learn from verified anomalies.

        Returns:
            The fitted detector itself.

        Raises:
            DataError: X has a wrong shape, fewer than two images, or values that are not finite
                numbers; a setting is out of its range; or a code of a verified image is wrong.
        """
        grid = _checked(X)
        self._check_settings()
        if len(grid) < 2:
            raise DataError("X has one image. Give at least two, better more than 50.")
        codes = switch_codes(verified, len(grid))
        free = (codes != 1).numpy()
        known = np.flatnonzero(free if free.sum() > 1 else np.ones(len(grid), bool))
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        drawn = self._drawn(grid, known, np.random.default_rng(seed))
        self.grid_shape_ = grid.shape[1:]
        self.whitening_ = Whitening.of(drawn, components=self.components)
        rows = self.whitening_(drawn)
        self.detector_ = (NearCells() if self.detector is None else clone(self.detector)).fit(rows)
        raw = self._raw(grid)
        self.place_ = np.median(raw[known], axis=0)
        self.spread_ = spread_of(raw[known], self.place_)
        self.maps_ = self._relative(raw)
        self.decision_scores_ = self.maps_.max((1, 2))
        report = report_on(self.decision_scores_, self.decision_scores_, codes)
        set_report(self, report)
        self.threshold_ = threshold_from(report, self.contamination)
        self.labels_ = (self.decision_scores_ > self.threshold_).astype(int)
        return self

    def maps(self, X: Any) -> np.ndarray:
        """Return the scores of all cells, high for anomalies, (N, h, w).

        Args:
            X: Grids of features like those of the training images, (N, h, w, D).

        Raises:
            DataError: X is not like the training grids.
        """
        check_is_fitted(self)
        grid = _checked(X)
        if grid.shape[1:] != self.grid_shape_:
            raise DataError(
                f"X has grids of shape {grid.shape[1:]}, but those of the training images have "
                f"{self.grid_shape_}. Compute features with the same network and size."
            )
        return self._relative(self._raw(grid))

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the scores of images, high for anomalies, (N,): the maximum of each map.

        Args:
            X: Grids of features like those of the training images, (N, h, w, D).

        Raises:
            DataError: X is not like the training grids.
        """
        return np.asarray(self.maps(X).max((1, 2)))

    def predict(self, X: Any) -> np.ndarray:
        """Return 1 for images that score above the threshold, and 0 for other images, (N,).

        Args:
            X: Grids of features like those of the training images, (N, h, w, D).
        """
        return (self.decision_function(X) > self.threshold_).astype(int)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probabilities that images are normal and that they have an anomaly, (N, 2).

        Args:
            X: Grids of features like those of the training images, (N, h, w, D).
        """
        r = self.report_.responsibility_of(self.decision_function(X))
        return np.stack([1 - r, r], 1)

    def fit_predict(self, X: Any, y: Any = None) -> np.ndarray:
        """Fit the detector, and return the labels of the training images, (N,).

        Args:
            X: Grids of features, (N, h, w, D).
            y: Ignored. Pipelines pass it.
        """
        return self.fit(X).labels_

    def _check_settings(self) -> None:
        check_contamination(self.contamination)
        for name in ("neighbourhood", "components", "cells"):
            check_whole(name, getattr(self, name), least=2 if name == "cells" else 1)
        if self.neighbourhood % 2 == 0:
            raise DataError(f"neighbourhood is {self.neighbourhood}. Give an odd number of cells.")

    def _drawn(self, grid: np.ndarray, known: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return random cells of the known images, (M, D)."""
        places = grid.shape[1] * grid.shape[2]
        total = len(known) * places
        chosen = np.sort(rng.choice(total, min(self.cells, total), replace=False))
        found = []
        for block in self._blocks(grid, known):
            own = chosen[(chosen >= block.start * places) & (chosen < block.stop * places)]
            found.append(
                averaged(grid[known[block]], self.neighbourhood)[own - block.start * places]
            )
        return np.concatenate(found)

    def _raw(self, grid: np.ndarray) -> np.ndarray:
        """Return the scores of cells without regard to their places, (N, h, w)."""
        every = np.arange(len(grid))
        parts = [
            self.detector_.decision_function(self._rows(grid[every[block]]))
            for block in self._blocks(grid, every)
        ]
        return np.concatenate(parts).reshape(grid.shape[:3])

    def _rows(self, grid: np.ndarray) -> np.ndarray:
        return self.whitening_(averaged(grid, self.neighbourhood))

    def _relative(self, raw: np.ndarray) -> np.ndarray:
        return np.asarray((raw - self.place_) / self.spread_)

    def _blocks(self, grid: np.ndarray, images: np.ndarray) -> Iterator[slice]:
        step = max(1, _CELLS // (grid.shape[1] * grid.shape[2]))
        for start in range(0, len(images), step):
            yield slice(start, min(start + step, len(images)))


def _checked(X: Any) -> np.ndarray:
    grid = np.asanyarray(X)
    if grid.ndim != 4 or not grid.size or grid.dtype.kind not in "fiu":
        raise DataError(
            f"X has shape {grid.shape} and type {grid.dtype}. Give grids of features (N, h, w, D), "
            "for instance from image_features(..., pool=False)."
        )
    check_finite(grid, "X")
    return grid
