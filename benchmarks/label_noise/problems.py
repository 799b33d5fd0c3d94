"""The noisy data sets, and what all methods share on each of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

from benchmarks.label_noise.images import augmented_cnn, augmented_resnet
from nbam_pyro.data import (
    CIFAR10_FLIPS,
    DIGITS_FLIPS,
    FASHION_MNIST_FLIPS,
    Contaminated,
    Corruption,
    Flips,
    InstanceFlips,
    Local,
    PairFlips,
    SymmetricFlips,
    contaminate,
    half_space,
    torchvision_data,
)
from nbam_pyro.errors import DataError
from nbam_pyro.models import mlp


class Clean(NamedTuple):
    """A data set with true labels, split."""

    x: np.ndarray
    y: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """A data set and how every method is trained on it.

    Attributes:
        load: Clean rows by seed and folder.
        flips: Standard asymmetric flips.
        network: Makes `nn.Sequential(trunk, head)` with augmentation in front.
        train_size: Number of noisy rows, stratified by their true class.
        held_out: Share of them that validates.
        epochs: Epochs of one training run.
        batch_size: Rows of a training step.
        lr: Step size of AdamW.
        weight_decay: Weight decay of AdamW.
        one_cycle: Whether the step size rises to `lr` and falls again over the run.
        classes: Number of classes, K.
    """

    load: Callable[[int, Path | None], Clean]
    flips: Mapping[int, int]
    network: Callable[[], nn.Sequential]
    train_size: int
    held_out: float
    epochs: int
    batch_size: int
    lr: float
    weight_decay: float
    one_cycle: bool
    classes: int = 10


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Noisy training rows, validation among them, and a clean test set.

    Attributes:
        x: Training rows, (N, ...).
        labels: Their true and observed labels.
        held_out: Rows that only validate, (N,) booleans.
        x_test: Test rows.
        y_test: Their true labels.
        matrix: Realised M = p(observed | true), (K, K).
        directions: Flips (true, observed) that exist, or None where no class has one
            of its own.
        resolvable: Classes that are in no mutual pair flipped above one half, (K,) booleans.
    """

    x: np.ndarray
    labels: Contaminated
    held_out: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    matrix: np.ndarray
    directions: frozenset[tuple[int, int]] | None
    resolvable: np.ndarray


def make_problem(data: DataSet, kind: str, *, rate: float, seed: int, root: Path | None) -> Problem:
    """Draw rows, contaminate their labels and set validation rows aside, all by the seed.

    Args:
        data: Data set.
        kind: Kind of noise, one of `KINDS`.
        rate: Share of each source class to contaminate; of its rows in the region for local noise.
        seed: Seed of split, rows and noise.
        root: Folder of the images.

    Raises:
        DataError: The rate or the size is out of range, or the data do not exist.
    """
    clean = data.load(seed, root)
    rows = _stratified(clean.y, data.train_size, seed)
    x, truth = clean.x[rows], clean.y[rows]
    noise = KINDS[kind]
    labels = contaminate(truth, noise.corruption(data, x, truth), rate=rate, seed=seed)
    matrix = labels.transition_matrix(data.classes)
    # A realised share may exceed one half by rounding where the rate does not.
    above = (matrix > 0.5) & (rate > 0.5) & ~np.eye(data.classes, dtype=bool)
    mutual = above & above.T
    return Problem(
        x=x,
        labels=labels,
        held_out=_held_out(labels.observed, data.held_out, seed),
        x_test=clean.x_test,
        y_test=clean.y_test,
        matrix=matrix,
        directions=_directions(noise, data, rate),
        resolvable=mutual.sum(1) == 0,
    )


def _directions(noise: "Noise", data: DataSet, rate: float) -> frozenset[tuple[int, int]] | None:
    if noise.directions is None:
        return None
    return frozenset(noise.directions(data).items() if rate else ())


def _stratified(y: np.ndarray, size: int, seed: int) -> np.ndarray:
    if size == len(y):
        return np.arange(len(y))
    if not 100 <= size < len(y):
        raise DataError(f"train-size is {size}; there are {len(y)} rows, take 100 or more of them.")
    return train_test_split(np.arange(len(y)), train_size=size, stratify=y, random_state=seed)[0]


def _held_out(observed: np.ndarray, share: float, seed: int) -> np.ndarray:
    flags = np.zeros(len(observed), dtype=bool)
    count = round(share * len(observed))
    everything = np.arange(len(observed))
    enough = np.unique(observed, return_counts=True)[1].min() >= 2
    chosen = train_test_split(
        everything, test_size=count, stratify=observed if enough else None, random_state=seed
    )[1]
    flags[chosen] = True
    return flags


def _digits(seed: int, root: Path | None) -> Clean:
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32)
    train, test = train_test_split(np.arange(len(y)), test_size=0.3, stratify=y, random_state=seed)
    return Clean(x[train], y[train], x[test], y[test])


def _images(seed: int, root: Path | None, *, name: str) -> Clean:
    if root is None:
        raise DataError(f"{name} needs --data-root, the folder that holds its files.")
    x, y = torchvision_data(name, root)
    x_test, y_test = torchvision_data(name, root, train=False)
    # Channels of mean 0 and variance 1; crops are then padded with the mean.
    mean = x.mean((0, 2, 3), keepdims=True, dtype=np.float64).astype(np.float32)
    scale = x.std((0, 2, 3), keepdims=True, dtype=np.float64).astype(np.float32)
    return Clean((x - mean) / scale, y, (x_test - mean) / scale, y_test)


DATASETS: Mapping[str, DataSet] = MappingProxyType(
    {
        "digits": DataSet(
            load=_digits,
            flips=DIGITS_FLIPS,
            network=partial(mlp, 64, 10),
            train_size=1257,
            held_out=1 / 6,
            epochs=100,
            batch_size=64,
            lr=2e-3,
            weight_decay=1e-2,
            one_cycle=False,
        ),
        "fashion_mnist": DataSet(
            load=partial(_images, name="FashionMNIST"),
            flips=FASHION_MNIST_FLIPS,
            network=augmented_cnn,
            train_size=20_000,
            held_out=0.1,
            epochs=10,
            batch_size=128,
            lr=3e-3,
            weight_decay=5e-2,
            one_cycle=True,
        ),
        "cifar10": DataSet(
            load=partial(_images, name="CIFAR10"),
            flips=CIFAR10_FLIPS,
            network=augmented_resnet,
            train_size=50_000,
            held_out=0.1,
            epochs=30,
            batch_size=128,
            lr=3e-3,
            weight_decay=5e-2,
            one_cycle=True,
        ),
    }
)


@dataclass(frozen=True)
class Noise:
    """A kind of noise.

    Attributes:
        corruption: Makes the corruption of a data set from its training rows and true labels.
        directions: Map of a source class to the class its labels flip to, or None where
            there is no such map.
    """

    corruption: Callable[[DataSet, np.ndarray, np.ndarray], Corruption]
    directions: Callable[[DataSet], Mapping[int, int]] | None = None


def _circle(data: DataSet) -> Mapping[int, int]:
    return {c: (c + 1) % data.classes for c in range(data.classes)}


def _local(data: DataSet, x: np.ndarray, y: np.ndarray) -> Corruption:
    # By x alone a half-space would hold some classes and not others, and rates by class say that.
    means = np.stack([x[y == c].mean(0) for c in range(data.classes)])
    return Local(Flips(data.flips), half_space(x - means[y], share=0.5))


KINDS: Mapping[str, Noise] = MappingProxyType(
    {
        "asymmetric": Noise(lambda data, x, y: Flips(data.flips), lambda data: data.flips),
        "symmetric": Noise(lambda data, x, y: SymmetricFlips(data.classes)),
        "pair": Noise(lambda data, x, y: PairFlips(data.classes), _circle),
        "instance": Noise(lambda data, x, y: InstanceFlips(x, data.classes)),
        # How much of a class the region holds differs by class: no directions are judged.
        "local": Noise(_local),
    }
)
