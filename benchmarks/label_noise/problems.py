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
    DIGITS_FLIPS,
    Contaminated,
    Corruption,
    Flips,
    SymmetricFlips,
    contaminate,
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
        load: clean rows by seed and folder.
        flips: the standard asymmetric flips.
        network: fresh, as `nn.Sequential(trunk, head)`, augmentation in front.
        train_size: noisy rows where nothing else is asked for.
        held_out: share of them that validates.
        epochs: of one training run.
        batch_size: of a training step.
        lr: step size of AdamW.
        weight_decay: of AdamW.
        one_cycle: the step size rises to `lr` and falls again over the run.
        classes: K.
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
        x: training rows, (N, ...).
        labels: their observed labels and which are contaminated.
        truth: their true labels, (N,).
        held_out: rows that only validate, (N,) booleans.
        x_test: test rows.
        y_test: their true labels.
        matrix: realised M = p(observed | true), (K, K).
        directions: the flips (true, observed) that there are to find; None where every class flips
            to several.
        resolvable: classes that are in no mutual pair flipped above one half, (K,) booleans.
    """

    x: np.ndarray
    labels: Contaminated
    truth: np.ndarray
    held_out: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    matrix: np.ndarray
    directions: frozenset[tuple[int, int]] | None
    resolvable: np.ndarray


def make_problem(
    data: DataSet, kind: str, *, rate: float, seed: int, root: Path | None, train_size: int
) -> Problem:
    """Draw rows, contaminate their labels and set validation rows aside, all by the seed.

    Raises:
        DataError: the rate or the size is out of range, or the data are not there.
    """
    clean = data.load(seed, root)
    rows = _stratified(clean.y, train_size, seed)
    x, truth = clean.x[rows], clean.y[rows]
    labels = contaminate(truth, KINDS[kind](data, x), rate=rate, seed=seed)
    matrix = _matrix(truth, labels.observed, data.classes)
    directions = frozenset(data.flips.items()) if rate else frozenset()
    # A realised share may exceed one half by rounding where the rate does not.
    above = (matrix > 0.5) & (rate > 0.5) & ~np.eye(data.classes, dtype=bool)
    mutual = above & above.T
    return Problem(
        x=x,
        labels=labels,
        truth=truth,
        held_out=_held_out(labels.observed, data.held_out, seed),
        x_test=clean.x_test,
        y_test=clean.y_test,
        matrix=matrix,
        directions=directions if kind == "asymmetric" else None,
        resolvable=mutual.sum(1) == 0,
    )


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


def _matrix(truth: np.ndarray, observed: np.ndarray, classes: int) -> np.ndarray:
    counts = np.zeros((classes, classes))
    np.add.at(counts, (truth, observed), 1)
    return counts / counts.sum(1, keepdims=True)


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
            flips={9: 7, 7: 5, 2: 6, 4: 3, 3: 4},
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
            flips={9: 1, 2: 0, 4: 7, 3: 5, 5: 3},
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

KINDS: Mapping[str, Callable[[DataSet, np.ndarray], Corruption]] = MappingProxyType(
    {
        "asymmetric": lambda data, x: Flips(data.flips),
        "symmetric": lambda data, x: SymmetricFlips(data.classes),
    }
)
