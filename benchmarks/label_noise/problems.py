"""Noisy data sets, and the network and optimiser that all methods share on each of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

from benchmarks.label_noise.images import augmented_cnn, augmented_cnn8, augmented_resnet
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
    """Training and test rows of a data set, with true labels."""

    x: np.ndarray
    y: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """A data set, with the network and optimiser for all methods.

    Attributes:
        load: Function of seed and folder that returns clean rows.
        flips: Standard asymmetric flips, from true class to observed class.
        network: Function that makes `nn.Sequential(trunk, head)`. The trunk includes augmentation.
        train_size: Number of noisy rows, stratified by true class.
        held_out: Share of noisy rows that are only used for validation.
        epochs: Epochs of one training run.
        batch_size: Rows of a training step.
        lr: Learning rate of AdamW.
        weight_decay: Weight decay of AdamW.
        one_cycle: Whether the learning rate rises to `lr` and falls again during the run.
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
    """Noisy training rows (including validation rows) and a clean test set.

    Attributes:
        x: Training rows, (N, ...).
        labels: True and observed labels of the training rows.
        held_out: Whether a row is only used for validation, (N,) booleans.
        x_test: Test rows, (M, ...).
        y_test: True labels of the test rows, (M,).
        matrix: M = p(observed | true) of the contaminated labels, (K, K).
        directions: Existing flips (true, observed). None if the kind of noise has no fixed flips.
        resolvable: Whether a class is in no mutual pair (two classes that flip into each other)
            with a rate above one half, (K,) booleans.
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
    """Draw rows, contaminate their labels and choose validation rows.

    Args:
        data: Data set.
        kind: Kind of noise, one of `KINDS`.
        rate: Share of rows to contaminate in each source class. Local noise uses only its region.
        seed: Seed for split, choice of rows and noise.
        root: Folder of the images, or None for digits.

    Raises:
        DataError: The rate or the size is out of range, or data files are missing.
    """
    clean = data.load(seed, root)
    rows = _stratified(clean.y, data.train_size, seed)
    x, truth = clean.x[rows], clean.y[rows]
    noise = KINDS[kind]
    labels = contaminate(truth, noise.corruption(data, x, truth), rate=rate, seed=seed)
    directions = _directions(noise, data, rate)
    return problem_of(clean._replace(x=x, y=truth), labels, data, directions, rate=rate, seed=seed)


def problem_of(
    clean: Clean,
    labels: Contaminated,
    data: DataSet,
    directions: frozenset[tuple[int, int]] | None = None,
    *,
    rate: float | None = None,
    seed: int,
) -> Problem:
    """Return the problem of rows with observed labels.

    Args:
        clean: Training rows with true labels, and test rows.
        labels: True and observed labels of the training rows.
        data: Data set.
        directions: Existing flips (true, observed). None if the kind of noise has no fixed flips.
        rate: Share of wrong labels in each source class; None if nobody has chosen it.
        seed: Seed of the choice of validation rows.
    """
    matrix = labels.transition_matrix(data.classes)
    # By rounding, a share in `matrix` can exceed one half although the rate does not.
    above = (matrix > 0.5) & (rate is None or rate > 0.5) & ~np.eye(data.classes, dtype=bool)
    mutual = above & above.T
    return Problem(
        x=clean.x,
        labels=labels,
        held_out=_held_out(labels.observed, data.held_out, seed),
        x_test=clean.x_test,
        y_test=clean.y_test,
        matrix=matrix,
        directions=directions,
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
        raise DataError(f"--train-size is {size}, but there are {len(y)} rows. Choose 100 or more.")
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
        raise DataError(f"{name} needs the option --data-root, the folder that contains its files.")
    x, y = torchvision_data(name, root)
    x_test, y_test = torchvision_data(name, root, train=False)
    # Channels get mean 0 and variance 1. Therefore crops are padded with the mean.
    mean = x.mean((0, 2, 3), keepdims=True, dtype=np.float64).astype(np.float32)
    scale = x.std((0, 2, 3), keepdims=True, dtype=np.float64).astype(np.float32)
    return Clean((x - mean) / scale, y, (x_test - mean) / scale, y_test)


_CIFAR10 = DataSet(
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
)

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
        "cifar10": _CIFAR10,
        "cifar10_cnn8": replace(_CIFAR10, network=augmented_cnn8, epochs=120),
    }
)


@dataclass(frozen=True)
class Noise:
    """A kind of noise.

    Attributes:
        corruption: Function of data set, training rows and true labels that makes the corruption.
        directions: Function of a data set that maps each source class to the class of its flipped
            labels. None if there is no such map.
    """

    corruption: Callable[[DataSet, np.ndarray, np.ndarray], Corruption]
    directions: Callable[[DataSet], Mapping[int, int]] | None = None


def _circle(data: DataSet) -> Mapping[int, int]:
    return {c: (c + 1) % data.classes for c in range(data.classes)}


def local_region(data: DataSet, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the rows in the region of local noise, (N,) booleans.

    Args:
        data: Data set.
        x: Training rows, (N, ...).
        y: True labels, (N,).
    """
    # Without centring, the half-space would contain whole classes; class rates can describe that.
    means = np.stack([x[y == c].mean(0) for c in range(data.classes)])
    return half_space(x - means[y], share=0.5)


def _local(data: DataSet, x: np.ndarray, y: np.ndarray) -> Corruption:
    return Local(Flips(data.flips), local_region(data, x, y))


KINDS: Mapping[str, Noise] = MappingProxyType(
    {
        "asymmetric": Noise(lambda data, x, y: Flips(data.flips), lambda data: data.flips),
        "symmetric": Noise(lambda data, x, y: SymmetricFlips(data.classes)),
        "pair": Noise(lambda data, x, y: PairFlips(data.classes), _circle),
        "instance": Noise(lambda data, x, y: InstanceFlips(x, data.classes)),
        # The region contains different shares of the classes. Therefore directions are not judged.
        "local": Noise(_local),
    }
)
