"""Results of `NBAMClassifier` with its defaults on small tables, with and without wrong labels.

There are twelve tables of 90 to 600 rows and three networks: a linear layer, the default perceptron
and a user-defined convolution. Labels are either correct, or 20 % of them are moved to a random
other class. The plain classifier for comparison is trained on the same labels. It is logistic
regression for the linear layer, and the better of logistic regression and k nearest neighbours for
the other networks.

A cell is right if two conditions hold. The accuracy on the true labels is at most .03 below that of
the plain classifier. The estimated share of wrong labels is within .05 of the truth, or the verdict
is "cannot tell".
"""

import time
import warnings
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Annotated, final

import numpy as np
import pandas as pd
import typer
from sklearn import datasets
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from benchmarks.benchmark import CPU, Benchmark, Case, Row
from benchmarks.options import FirstSeed, Names, Seeds
from nbam_pyro import NBAMClassifier
from nbam_pyro.models import mlp

Table = tuple[np.ndarray, np.ndarray]


def thirds_of_diabetes() -> Table:
    """Return diabetes progression in three classes of equal size, which overlap strongly."""
    x, y = datasets.load_diabetes(return_X_y=True)
    return x, np.digitize(y, np.quantile(y, [1 / 3, 2 / 3]))


def some_digits() -> Table:
    """Return the first 400 digits."""
    x, y = datasets.load_digits(return_X_y=True)
    return x[:400], y[:400]


TABLES: dict[str, Callable[[], Table]] = {
    "iris": lambda: datasets.load_iris(return_X_y=True),
    "wine": lambda: datasets.load_wine(return_X_y=True),
    "cancer": lambda: datasets.load_breast_cancer(return_X_y=True),
    "digits": some_digits,
    "diabetes": thirds_of_diabetes,
    "blobs": lambda: datasets.make_blobs(90, 4, centers=3, cluster_std=2.0, random_state=0),
    "many": lambda: datasets.make_blobs(240, 6, centers=8, cluster_std=2.0, random_state=1),
    "moons": lambda: datasets.make_moons(200, noise=0.15, random_state=0),
    "circles": lambda: datasets.make_circles(200, noise=0.1, factor=0.4, random_state=0),
    "hypercube": lambda: datasets.make_classification(
        300, 10, n_informative=5, n_classes=4, class_sep=2.0, flip_y=0.0, random_state=0
    ),
    "shells": lambda: datasets.make_gaussian_quantiles(
        n_samples=300, n_features=3, n_classes=3, random_state=0
    ),
    "rare": lambda: datasets.make_classification(
        200, 6, n_informative=4, weights=[0.85], class_sep=1.5, flip_y=0.0, random_state=1
    ),
}


def linear(inputs: int, classes: int) -> nn.Module:
    """Make a linear layer."""
    return nn.Linear(inputs, classes)


def convolution(inputs: int, classes: int) -> nn.Module:
    """Make a convolution along the columns, as an example of a user-defined network."""
    return nn.Sequential(
        nn.Unflatten(1, (1, inputs)),
        nn.Conv1d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(8 * inputs, classes),
    )


NETWORKS: dict[str, Callable[[int, int], nn.Module]] = {
    "linear": linear,
    "perceptron": mlp,
    "convolution": convolution,
}


def measure(case: Case, network: str, noise: float, seed: int) -> Row:
    """Measure one cell."""
    x, true = TABLES[case.data]()
    rng = np.random.default_rng(1000 + seed)
    classes = int(true.max()) + 1
    moved = (true + rng.integers(1, classes, len(true))) % classes
    y = np.where(rng.random(len(true)) < noise, moved, true)
    plain = [LogisticRegression(max_iter=5000)]
    if network != "linear":
        plain.append(KNeighborsClassifier(9))
    reference = max(
        float((make_pipeline(StandardScaler(), one).fit(x, y).predict(x) == true).mean())
        for one in plain
    )
    started = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = NBAMClassifier(network=NETWORKS[network], random_state=seed).fit(x, y)
    verdict = model.verdict_.level
    accuracy = float((model.predict(x) == true).mean())
    share, truth = model.contamination_, float((y != true).mean())
    figures = {
        "accuracy": round(accuracy, 4),
        "plain": round(reference, 4),
        "share": round(share, 4),
        "truth": round(truth, 4),
        "accuracy_right": accuracy >= reference - 0.03,
        "share_right": abs(share - truth) <= 0.05 or verdict == "cannot tell",
        "seconds": round(time.perf_counter() - started, 1),
    }
    names = sorted({type(one.message).__name__ for one in caught})
    notes = {"verdict": verdict, "warnings": "; ".join(names)}
    return Row(case=case, figures=figures, notes=notes, device=CPU)


@final
@dataclass(frozen=True, kw_only=True)
class SmallTables(Benchmark):
    """Accuracy and estimated share of wrong labels of `NBAMClassifier` on twelve small tables."""

    data: Annotated[
        Names, typer.Option(parser=Names.among(TABLES), metavar="NAME,...", help="Tables to use.")
    ] = Names(TABLES)
    networks: Annotated[
        Names,
        typer.Option(parser=Names.among(NETWORKS), metavar="NAME,...", help="Networks to fit."),
    ] = Names(NETWORKS)
    seeds: Seeds = 3
    first_seed: FirstSeed = 0

    def measure(self, known: Collection[Case]) -> Iterator[Row]:
        """Yield one row per seed, table, share of wrong labels and network."""
        seeds = range(self.first_seed, self.first_seed + self.seeds)
        for seed, table, noise, network in product(seeds, self.data, (0.0, 0.2), self.networks):
            case = Case(data=table, method=network, seed=seed, settings={"noise": noise})
            if case not in known:
                yield measure(case, network, noise, seed)

    @staticmethod
    def summary(rows: pd.DataFrame) -> str:
        """Return the number of cells that are right."""
        accurate, shares = rows["accuracy_right"] == 1, rows["share_right"] == 1
        unsure = (rows["verdict"] == "cannot tell").sum()
        return (
            f"{(accurate & shares).sum()} of {len(rows)} cells right: accuracy in "
            f"{accurate.sum()}, share in {shares.sum()}, of which {unsure} say that the data "
            "cannot tell"
        )
