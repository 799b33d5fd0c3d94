"""Tables, detectors of PyOD and rival estimates for the benchmark of `from_scores`."""

import importlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.mixture import GaussianMixture

from benchmarks.detection.protocol import tables
from nbam_pyro.errors import DataError

__all__ = ["DETECTORS", "RIVALS", "Scored", "class_of", "rival", "scored_tables"]

# Larger tables are cut to this many random rows.
_ROWS = 20_000

DETECTORS = {
    "iforest": "pyod.models.iforest.IForest",
    "ecod": "pyod.models.ecod.ECOD",
    "knn": "pyod.models.knn.KNN",
    "hbos": "pyod.models.hbos.HBOS",
}
"""Detectors of PyOD, with their default settings."""

_THRESHOLDS = {
    "IQR": "pythresh.thresholds.iqr.IQR",
    "MAD": "pythresh.thresholds.mad.MAD",
    "KARCH": "pythresh.thresholds.karch.KARCH",
    "FILTER": "pythresh.thresholds.filter.FILTER",
    "MIXMOD": "pythresh.thresholds.mixmod.MIXMOD",
    "GAMGMM": "pythresh.thresholds.gamgmm.GAMGMM",
}
# By default, the gamma mixture is fitted up to 100 times to find better hyperparameters.
_SETTINGS = {"GAMGMM": {"skip": True}}
RIVALS = ("gmm", *_THRESHOLDS)
"""Thresholds of pythresh with their default settings (GAMGMM fitted once instead of up to 100
times), and a Gaussian mixture of two components."""


@dataclass(frozen=True, kw_only=True)
class Scored:
    """Scores of one detector on one table.

    Attributes:
        table: Name of the table.
        detector: Name of the detector.
        removed: Whether anomalies were removed before the detector was fitted.
        scores: Scores of the rows that the detector was fitted on, (N,).
        anomaly: Whether each row is an anomaly, (N,).
    """

    table: str
    detector: str
    removed: bool
    scores: np.ndarray
    anomaly: np.ndarray

    @property
    def name(self) -> str:
        """Name of the scores in a cache."""
        return f"{self.table}.{self.detector}.{'clean' if self.removed else 'all'}"


def scored_tables(
    folder: Path, *, only: Sequence[str] | None, cache: Path | None
) -> Iterator[Scored]:
    """Yield the scores of all detectors on the tables of a folder, with and without anomalies.

    Args:
        folder: Folder of the tables.
        only: Names of the tables to use, or None for all.
        cache: Folder where scores are kept, or None.

    Raises:
        DataError: A table cannot be read, or PyOD is missing.
    """
    for table, every, anomaly in tables(folder, only=only):
        rows = np.arange(len(every))
        if len(rows) > _ROWS:
            rows = np.random.default_rng(0).choice(len(rows), _ROWS, replace=False)
        for removed in (False, True):
            kept = rows[~anomaly[rows]] if removed else rows
            for detector in DETECTORS:
                made = Scored(
                    table=table,
                    detector=detector,
                    removed=removed,
                    scores=np.zeros(0),
                    anomaly=anomaly[kept],
                )
                path = None if cache is None else cache / f"{made.name}.npz"
                scores = _cached(path, "score", partial(_scores, detector, every[kept]))
                yield Scored(**(vars(made) | {"scores": scores}))


def _scores(detector: str, x: np.ndarray) -> np.ndarray:
    settings = {"random_state": 0} if detector == "iforest" else {}
    model = class_of(DETECTORS[detector])(**settings)
    return np.asarray(model.fit(x).decision_scores_, dtype=float)


def rival(method: str, one: Scored, *, cache: Path | None) -> np.ndarray:
    """Return the responsibilities of a rival, (N,). Those of thresholds are 0 or 1.

    Args:
        method: Name from `RIVALS`.
        one: Scores.
        cache: Folder where results are kept, or None.
    """
    path = None if cache is None else cache / f"{one.name}.{method}.npz"
    return _cached(path, "r", partial(_rival, method, one.scores))


def _rival(method: str, scores: np.ndarray) -> np.ndarray:
    np.random.seed(0)  # noqa: NPY002  pythresh's
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if method in _THRESHOLDS:
            threshold = class_of(_THRESHOLDS[method])(**_SETTINGS.get(method, {}))
            return np.asarray(threshold.eval(scores), dtype=float)
        mixture = GaussianMixture(2, n_init=3, random_state=0).fit(scores[:, None])
    upper = int(mixture.means_[:, 0].argmax())
    return np.asarray(mixture.predict_proba(scores[:, None])[:, upper])


def _cached(path: Path | None, name: str, make: Callable[[], np.ndarray]) -> np.ndarray:
    if path is not None and path.exists():
        return np.load(path)[name].astype(float)
    made = make()
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, allow_pickle=False, **{name: made})
    return made


def class_of(path: str) -> Any:
    """Return the class with an import path.

    Args:
        path: Import path, such as "pyod.models.knn.KNN".

    Raises:
        DataError: The package is not installed.
    """
    module, _, name = path.rpartition(".")
    package = module.partition(".")[0]
    try:
        return getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        raise DataError(f"This case needs the package {package}: pip install {package}.") from error
