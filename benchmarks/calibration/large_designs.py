"""Larger designs with known wrong labels: 1,000 to 9,000 rows, and three kinds of network.

The rows are features of images, images, or simulations. The networks learn for different times.
"""

import math
from collections.abc import Callable, Collection, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import typer
from sklearn import datasets
from torch import nn

from benchmarks.benchmark import Case
from benchmarks.calibration.labelled_tables import Labelled, Table, labelled
from benchmarks.calibration.share_designs import fit_of
from nbam_pyro.data import (
    CIFAR10_FLIPS,
    Flips,
    InstanceFlips,
    contaminate,
    torchvision_data,
)
from nbam_pyro.inference import Fit
from nbam_pyro.inference.steps.run import Run

__all__ = ["LARGE", "DesignFeatures", "LargeDesign", "More", "larger"]

LARGE = "large"
"""Start of the names of the larger designs."""

More = Annotated[
    int, typer.Option(min=0, help="Number of larger random designs. They need --features.")
]
DesignFeatures = Annotated[
    Path | None,
    typer.Option(help="File .npz of features, as for p-wrong, with labels_one_person_a."),
]

FIRST = 19
"""First seed of these designs; those before it showed which numbers the prior should depend on."""


class LargeDesign(NamedTuple):
    """A larger design.

    Attributes:
        name: Kind of rows, of network, and of wrong labels.
        data: Rows with true and observed labels.
        network: Function that makes the network; None for the default classifier.
        epochs: Epochs of one training run of the network.
        seed: Seed of the fit.
    """

    name: str
    data: Labelled
    network: Callable[[], nn.Module] | None
    epochs: int
    seed: int

    def fit(self) -> tuple[Fit, Run]:
        """Return a fit of the network to the design, and its state after the last step."""
        network = None if self.network is None else self.network()
        return fit_of(self.data, network, epochs=self.epochs, seed=self.seed)


_NOISE = {
    "right": 0.17,
    "uniform": 0.1,
    "pair": 0.08,
    "class": 0.15,
    "some": 0.08,
    "look-alike": 0.12,
    "instance": 0.1,
    "asymmetric": 0.1,
    "person": 0.1,
}
# Labels of this person are used for development; those of others only measure.
_PERSON = "labels_one_person_a"


def large(seed: int, root: Path, features: Path) -> LargeDesign | None:
    """Return a larger design; None if a class has almost no labels.

    Args:
        seed: Seed of the choice of rows, network and wrong labels.
        root: Folder of Fashion-MNIST.
        features: File of features of CIFAR-10, as for the benchmark `p-wrong`, with the array
            `labels_one_person_a`.
    """
    rng = np.random.default_rng([181, seed])
    source = str(rng.choice(["features", "clothes", "simulated"], p=[0.65, 0.25, 0.1]))
    rows = int(np.exp(rng.uniform(math.log(1000), math.log(14_000))))
    head = str(rng.choice(["default", "dropout", "linear"], p=[0.25, 0.5, 0.25]))
    noise = str(rng.choice([*_NOISE], p=[*_NOISE.values()]))
    rate = 0.0 if noise == "right" else rng.uniform(0.03, 0.4)
    if source != "features" and noise == "person":
        noise = "look-alike"
    x, y = _table(source, rng, seed, root, features)
    order = rng.permutation(len(y))
    if source != "simulated" and rng.random() < 0.3 and noise not in ("person", "asymmetric"):
        classes = rng.permutation(10)[: int(rng.integers(3, 9))]
        order = order[np.isin(y[order], classes)]
    order = order[: min(rows, 2000 if head == "default" else 9000)]
    x, true = x[order], np.unique(y[order], return_inverse=True)[1]
    if source != "clothes":
        x = ((x - x.mean(0)) / (x.std(0) + 1e-6)).astype(np.float32)
    if noise == "person":
        with np.load(features) as file:
            data = Labelled(x, true, file[_PERSON][order].astype(int))
    elif noise in ("instance", "asymmetric"):
        k = int(true.max()) + 1
        flips = CIFAR10_FLIPS if k == 10 else {c: (c + 1) % k for c in range(0, k, 2)}
        how = InstanceFlips(x, k) if noise == "instance" else Flips(flips)
        data = Labelled(x, true, contaminate(true, how, rate=rate, seed=seed).observed)
    elif noise == "right":
        data = Labelled(x, true, true)
    else:
        data = labelled((x, true), noise, rate=rate, rows=len(x), seed=seed)
    k = int(max(data.true.max(), data.labels.max())) + 1
    if np.bincount(data.labels, minlength=k).min() < 5:
        return None
    maker: Callable[[int, int], nn.Module] = _perceptron if head == "dropout" else nn.Linear
    return LargeDesign(
        name=f"{LARGE}, {source}, {head}, {noise}",
        data=data,
        network=None if head == "default" else partial(maker, x.shape[1], k),
        epochs=int(rng.choice([10, 20, 40])),
        seed=seed,
    )


def larger(
    count: int, root: Path, features: Path | None, *, method: str, known: Collection[Case]
) -> Iterator[tuple[Case, LargeDesign]]:
    """Yield the larger designs that were not measured yet; none without features.

    Args:
        count: Number of designs, with those that were measured.
        root: Folder of Fashion-MNIST.
        features: File of features; None if there is none.
        method: Method of the cases.
        known: Cases that were measured.
    """
    if features is None:
        return
    for seed in range(FIRST, FIRST + count):
        case = Case(data=LARGE, method=method, seed=seed)
        design = None if case in known else large(seed, root, features)
        if design is not None:
            yield case, design


def _table(source: str, rng: np.random.Generator, seed: int, root: Path, features: Path) -> Table:
    if source == "features":
        with np.load(features) as file:
            return file["X_train"].astype(np.float32), file["y_train"].astype(int)
    if source == "clothes":
        x, y = torchvision_data("FashionMNIST", root)
        return x.reshape(len(x), -1), y
    x, y = datasets.make_classification(
        20_000,
        n_features=20,
        n_informative=10,
        n_classes=int(rng.integers(3, 9)),
        n_clusters_per_class=2,
        class_sep=rng.uniform(0.8, 2.5),
        flip_y=0,
        random_state=seed,
    )
    return x.astype(np.float32), y


def _perceptron(columns: int, classes: int) -> nn.Module:
    trunk = nn.Sequential(nn.Linear(columns, 256), nn.ReLU(), nn.Dropout(0.5))
    return nn.Sequential(trunk, nn.Linear(256, classes))
