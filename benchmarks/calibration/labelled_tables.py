"""Tables and flips with known wrong labels, on which classifiers predict probabilities.

Development tables and classifiers fit the prior of the sharpness. Check tables and classifiers are
others, which only measure it.
"""

import gzip
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.io import loadmat
from sklearn import datasets
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

__all__ = ["CHECK_TABLES", "DEVELOPMENT_TABLES", "FLIPS", "Labelled", "Table", "labelled"]

Table = tuple[np.ndarray, np.ndarray]
"""Features, (N, D), and true classes 0, ..., K-1, (N,)."""

FLIPS = ("uniform", "pair", "class", "look-alike", "some")
"""Kinds of flips: see `labelled`."""

# Spread of the choice of similar rows in look-alike flips, on the scale of log odds.
_SPREAD = 2.0


@dataclass(frozen=True)
class Labelled:
    """Rows with known wrong labels.

    Attributes:
        x: Features, (N, D).
        true: True classes, (N,).
        labels: Observed labels, (N,).
    """

    x: np.ndarray
    true: np.ndarray
    labels: np.ndarray

    @property
    def wrong(self) -> float:
        """Share of wrong labels."""
        return float((self.labels != self.true).mean())


def labelled(table: Table, flips: str, *, rate: float, rows: int, seed: int) -> Labelled:
    """Draw rows of a table and flip some labels.

    A "uniform" flip goes to any other class, a "pair" flip from each class to the next, a "class"
    flip has rates between 0 and twice `rate` and a Dirichlet row of T for each class, a "some" flip
    concerns half of the classes, at twice `rate`, and goes from each to one other class, and a
    "look-alike" flip goes to the most similar other class and prefers rows that resemble it.

    Args:
        table: Features and true classes.
        flips: Kind of flips, one of `FLIPS`.
        rate: Probability that a label is wrong.
        rows: Largest number of rows.
        seed: Seed of rows and flips.
    """
    rng = np.random.default_rng(seed)
    x, true = table
    chosen = rng.permutation(len(true))[:rows]
    x, true = x[chosen], np.unique(true[chosen], return_inverse=True)[1]
    kept = np.isin(true, np.flatnonzero(np.bincount(true) >= 8))
    x, true = x[kept], np.unique(true[kept], return_inverse=True)[1]
    if rate == 0 or true.max() == 0:
        return Labelled(x, true, true)
    if flips == "look-alike":
        return Labelled(x, true, _look_alike(x, true, rate, rng))
    k = int(true.max()) + 1
    matrix = _flip_matrix(flips, k, rng)
    rates = np.full(k, rate)
    if flips == "class":
        rates = (rates * 2 * rng.random(k)).clip(0, 0.45)
    if flips == "some":
        rates = (rates * 2 * (rng.permutation(k) < (k + 1) // 2)).clip(0, 0.45)
    wrong = rng.random(len(true)) < rates[true]
    other = (rng.random(len(true))[:, None] > matrix[true].cumsum(1)).sum(1).clip(max=k - 1)
    return Labelled(x, true, np.where(wrong, other, true))


def _flip_matrix(flips: str, k: int, rng: np.random.Generator) -> np.ndarray:
    if flips in ("pair", "some"):
        return np.roll(np.eye(k), 1 if flips == "pair" else int(rng.integers(1, k)), axis=1)
    others = np.ones((k, k)) - np.eye(k)
    if flips == "class":
        others = others * rng.gamma(0.5, size=(k, k)) + 1e-9 * others
    return others / others.sum(1, keepdims=True)


def _look_alike(
    x: np.ndarray, true: np.ndarray, rate: float, rng: np.random.Generator
) -> np.ndarray:
    rows = np.arange(len(true))
    judge = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=300))
    p = judge.fit(x, true).predict_proba(x)
    own = p[rows, true]
    p[rows, true] = 0
    odds = np.log(p.max(1) / own) + _SPREAD * rng.logistic(size=len(rows))
    chosen = np.argsort(-odds)[: round(rate * len(rows))]
    labels = true.copy()
    labels[chosen] = p[chosen].argmax(1)
    return labels


def _bundled(load: Callable[..., Table]) -> Callable[[Path, int], Table]:
    return lambda folder, seed: load(return_X_y=True)


def _npz(name: str) -> Callable[[Path, int], Table]:
    def load(folder: Path, seed: int) -> Table:
        with np.load(folder / "adbench" / name) as file:
            return file["X"].astype(float), file["y"].astype(int).ravel()

    return load


def _mat(name: str) -> Callable[[Path, int], Table]:
    def load(folder: Path, seed: int) -> Table:
        file = loadmat(folder / "odds" / name)
        return file["X"].astype(float), file["y"].astype(int).ravel()

    return load


def _fashion(part: str, classes: tuple[int, ...]) -> Callable[[Path, int], Table]:
    def load(folder: Path, seed: int) -> Table:
        raw = folder / "FashionMNIST" / "raw"
        with gzip.open(raw / f"{part}-labels-idx1-ubyte.gz") as file:
            y = np.frombuffer(file.read(), np.uint8, offset=8).astype(int)
        kept = np.flatnonzero(np.isin(y, classes))[:6000]
        with gzip.open(raw / f"{part}-images-idx3-ubyte.gz") as file:
            x = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 784)[kept]
        return PCA(40, random_state=0).fit_transform(x / 255), y[kept]

    return load


def _simulated(k: int, separation: float, informative: int) -> Callable[[Path, int], Table]:
    def load(folder: Path, seed: int) -> Table:
        return datasets.make_classification(
            2000,
            n_features=informative + 6,
            n_informative=informative,
            n_redundant=2,
            n_classes=k,
            n_clusters_per_class=1 + k % 2,
            class_sep=separation,
            flip_y=0,
            random_state=seed,
        )

    return load


def _blobs(k: int, spread: float) -> Callable[[Path, int], Table]:
    def load(folder: Path, seed: int) -> Table:
        return datasets.make_blobs(
            2000, n_features=4, centers=k, cluster_std=spread, random_state=seed
        )

    return load


DEVELOPMENT_TABLES: Mapping[str, Callable[[Path, int], Table]] = {
    "iris": _bundled(datasets.load_iris),
    "wine": _bundled(datasets.load_wine),
    "clothes": _fashion("train", (0, 1, 2, 3, 4, 5, 6, 7, 8, 9)),
    "upper clothes": _fashion("train", (0, 2, 3, 4, 6)),
    "shoes": _fashion("train", (5, 7, 9)),
    "fault": _npz("12_fault.npz"),
    "landsat": _npz("19_landsat.npz"),
    "blocks": _npz("27_PageBlocks.npz"),
    "cardiotocography": _npz("7_Cardiotocography.npz"),
    "waveform": _npz("41_Waveform.npz"),
    "ionosphere": _mat("ionosphere.mat"),
    "arrhythmia": _mat("arrhythmia.mat"),
    "simulated 2": _simulated(2, 0.7, 4),
    "simulated 3": _simulated(3, 1.2, 6),
    "simulated 6": _simulated(6, 1.6, 8),
    "simulated 12": _simulated(12, 2.2, 10),
    "blobs 3": _blobs(3, 2.0),
    "blobs 8": _blobs(8, 2.5),
    "blobs 20": _blobs(20, 1.5),
}
"""Functions that load the development tables, given the folder of the data and a seed."""

CHECK_TABLES: Mapping[str, Callable[[Path, int], Table]] = {
    "digits": _bundled(datasets.load_digits),
    "breast cancer": _bundled(datasets.load_breast_cancer),
    "spam": _npz("35_SpamBase.npz"),
    "magic": _npz("22_magic.gamma.npz"),
    "yeast": _npz("47_yeast.npz"),
    "campaign": _npz("5_campaign.npz"),
    "satellite": _mat("satellite.mat"),
    "simulated 4": _simulated(4, 1.5, 7),
    "simulated 5": _simulated(5, 0.9, 5),
    "blobs 10": _blobs(10, 2.0),
}
"""Functions that load the check tables, given the folder of the data and a seed."""
