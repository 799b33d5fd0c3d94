"""Tables with known wrong labels, to which the prior of the share of wrong labels is fitted."""

import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn import datasets
from torch import nn

from benchmarks.calibration.labelled_tables import DEVELOPMENT_TABLES, Labelled, Table, labelled
from nbam_pyro import LabelFlip, NBAMClassifier, fit
from nbam_pyro.errors import NBAMWarning
from nbam_pyro.inference import Fit, default_steps
from nbam_pyro.inference.steps.run import Run
from nbam_pyro.models import Story

__all__ = ["NAMES", "development", "fit_of", "one_class"]

_KINDS = ("uniform", "pair", "class", "uniform")


def _normal(
    rows: tuple[int, int], apart: tuple[float, float], columns: tuple[int, ...], least: float = 0.5
) -> Callable[[np.random.Generator], Table]:
    """Return two or three classes whose means are some standard deviations from each other."""

    def draw(rng: np.random.Generator) -> Table:
        n = int(np.exp(rng.uniform(*np.log(rows))))
        k = int(rng.integers(2, 4))
        share = rng.uniform(least, 0.5)
        y = (rng.random(n) > share).astype(int)
        if k == 3:
            y[rng.random(n) < 0.3] = 2
        d = int(columns[rng.integers(len(columns))])
        x = rng.standard_t(6, size=(n, d))
        a = rng.uniform(*apart)
        x[:, 0] += a * (y == 1)
        x[:, min(1, d - 1)] += a * (y == 2)
        return x, y

    return draw


def _moons(rng: np.random.Generator) -> Table:
    n, seed = int(rng.integers(150, 1200)), int(rng.integers(2**31))
    if rng.random() < 0.5:
        noise, factor = rng.uniform(0.03, 0.2), rng.uniform(0.3, 0.7)
        return datasets.make_circles(n, noise=noise, factor=factor, random_state=seed)
    return datasets.make_moons(n, noise=rng.uniform(0.05, 0.4), random_state=seed)


def _rings(rng: np.random.Generator) -> Table:
    return datasets.make_gaussian_quantiles(
        n_samples=int(rng.integers(200, 1200)),
        n_features=int(rng.integers(2, 8)),
        n_classes=int(rng.integers(2, 5)),
        random_state=int(rng.integers(2**31)),
    )


def _blobs(rng: np.random.Generator) -> Table:
    return datasets.make_blobs(
        int(rng.integers(100, 900)),
        n_features=int(rng.integers(2, 10)),
        centers=int(rng.integers(2, 12)),
        cluster_std=rng.uniform(0.5, 5),
        random_state=int(rng.integers(2**31)),
    )


_SIMULATED: dict[str, Callable[[np.random.Generator], Table]] = {
    "two": _normal((40, 800), (0.8, 4), (1, 3, 6)),
    "rare": _normal((300, 1200), (2, 4), (2, 5), 0.04),
    "wide": _normal((40, 150), (3, 8), (300, 1000)),
    "noise": _normal((60, 600), (0, 0.3), (2, 10)),
    "moons": _moons,
    "rings": _rings,
    "blobs": _blobs,
}
_ONE_CLASS = ("iris", "wine", "shoes", "waveform", "blobs 3", "blobs 8", "simulated 3", "blobs")
NAMES = (*DEVELOPMENT_TABLES, *_SIMULATED, *_SIMULATED)
"""Names of the development tables, from which each design draws one."""


def development(seed: int, data: Path) -> tuple[str, Labelled]:
    """Return the name of a development table, and its rows with wrong labels.

    Args:
        seed: Seed of the choice of table, rate, flips and rows.
        data: Folder of the tables that scikit-learn does not contain.
    """
    rng = np.random.default_rng([77, seed])
    name = NAMES[int(rng.integers(len(NAMES)))]
    rate = 0.0 if rng.random() < 0.22 else rng.uniform(0.02, 0.4)
    flips = _KINDS[int(rng.integers(4))] if rng.random() < 0.9 else "some"
    if name in _SIMULATED:
        table = _SIMULATED[name](rng)
        rows = len(table[1])
    else:
        table = DEVELOPMENT_TABLES[name](data, int(rng.integers(1000)))
        rows = int(np.exp(rng.uniform(math.log(80), math.log(1500))))
    return name, labelled(table, flips, rate=rate, rows=rows, seed=seed)


def one_class(seed: int, data: Path) -> tuple[str, Labelled]:
    """Return the name of a table, and rows of which about half of one class has wrong labels.

    If all other classes have too few rows, no label is wrong.

    Args:
        seed: Seed of the choice of table, rate, classes and rows.
        data: Folder of the tables that scikit-learn does not contain.
    """
    rng = np.random.default_rng([78, seed])
    name = _ONE_CLASS[int(rng.integers(len(_ONE_CLASS)))]
    table = (
        _SIMULATED[name](rng)
        if name in _SIMULATED
        else DEVELOPMENT_TABLES[name](data, int(rng.integers(1000)))
    )
    rows = int(np.exp(rng.uniform(math.log(100), math.log(600))))
    true = labelled(table, "uniform", rate=0.0, rows=rows, seed=seed)
    if not true.true.max():
        return name, true
    first, second = rng.permutation(int(true.true.max()) + 1)[:2]
    flipped = (true.true == first) & (rng.random(len(true.true)) < rng.uniform(0.4, 0.7))
    return name, Labelled(true.x, true.true, np.where(flipped, second, true.true))


def fit_of(
    data: Labelled, network: nn.Module | None = None, *, epochs: int | None = None, seed: int
) -> tuple[Fit, Run]:
    """Return a fit of the default recipe, and its state after the last step.

    Args:
        data: Rows with observed labels.
        network: Untrained network; None for the default classifier.
        epochs: Epochs of one training run of the network.
        seed: Seed of the fit.
    """
    kept: list[Run] = []
    rows: Any = (data.x, data.labels)
    story: Story
    options: dict[str, Any]
    if network is None:
        story, *rows = NBAMClassifier(random_state=seed).prepared(data.x, data.labels)
        state = int(np.random.RandomState(seed).randint(np.iinfo(np.int32).max))
        options = {"held_out": 1 / 6, "seed": state, "steps": _steps(story, kept)}
    else:
        story = LabelFlip(network, int(max(data.true.max(), data.labels.max())) + 1)
        steps = _steps(story, kept, epochs=epochs, lr=1e-3)
        options = {"held_out": 0.1, "batch_size": 128, "seed": seed, "steps": steps}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NBAMWarning)
        return fit(story, tuple(rows), **options), kept[0]


def _steps(story: Story, kept: list[Run], **options: Any) -> list[Any]:
    return [*default_steps(story, **options), kept.append]
