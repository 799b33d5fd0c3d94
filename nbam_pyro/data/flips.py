"""Flips of labels that depend only on the true class."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from nbam_pyro.data.classes import Classes, as_labels, check_kind, class_names, class_places
from nbam_pyro.data.corruption import Corruption
from nbam_pyro.errors import DataError

__all__ = [
    "CIFAR10_FLIPS",
    "DIGITS_FLIPS",
    "FASHION_MNIST_FLIPS",
    "Flips",
    "PairFlips",
    "SymmetricFlips",
]

DIGITS_FLIPS: Mapping[int, int] = MappingProxyType({7: 1, 2: 7, 5: 6, 6: 5, 3: 8})
"""Standard asymmetric flips of handwritten digits, as true to observed class.

5 and 6 are a mutual pair: they flip into each other.
"""

CIFAR10_FLIPS: Mapping[int, int] = MappingProxyType({9: 1, 2: 0, 4: 7, 3: 5, 5: 3})
"""Standard asymmetric flips of CIFAR-10, as true to observed class.

Truck to automobile, bird to airplane, deer to horse; cat and dog are a mutual pair.
"""

FASHION_MNIST_FLIPS: Mapping[int, int] = MappingProxyType({9: 7, 7: 5, 2: 6, 4: 3, 3: 4})
"""Asymmetric flips of Fashion-MNIST, as true to observed class.

Boot to sneaker, sneaker to sandal, pullover to shirt; coat and dress are a mutual pair.
"""


@dataclass(frozen=True)
class Flips(Corruption):
    """Asymmetric flips: labels of each source class are replaced by one other class.

    The rate is a share of the rows of each source class.

    Args:
        directions: The new class of each source class, as numbers or as texts.

    Raises:
        DataError: A class is mapped to itself, or only one of labels and classes is text.

    Example:
        >>> from nbam_pyro.data import contaminate
        >>> labels = np.array(["cat"] * 4 + ["lynx"] * 2)
        >>> contaminate(labels, Flips({"cat": "leopard"}), rate=0.25, seed=0).observed
        array(['cat', 'cat', 'leopard', 'cat', 'lynx', 'lynx'], dtype='<U7')
    """

    directions: Mapping[int, int] | Mapping[str, str]

    def __post_init__(self) -> None:
        for source, target in self.directions.items():
            if source == target:
                raise DataError(f"Class {source!r} flips to itself. Give another class.")
        # A copy, so that later changes of the caller's mapping have no effect.
        object.__setattr__(self, "directions", dict(self.directions))

    def groups(self, values: np.ndarray) -> list[np.ndarray]:
        check_kind([*self.directions, *self.directions.values()], values)
        return [np.flatnonzero(values == source) for source in self.directions]

    def corrupt(self, values: np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        targets: dict[Any, Any] = dict(self.directions)
        return as_labels([targets.get(value, value) for value in values.tolist()], values)


@dataclass(frozen=True)
class PairFlips(Corruption):
    """Pair flips: labels of each class become the next class, and the last becomes the first.

    The rate is a share of the rows of each class.

    Args:
        classes: Class labels in order, as numbers or as texts; or K, if the labels are
            0, ..., K - 1.

    Raises:
        DataError: There are fewer than two classes, a class occurs twice, or a label is not among
            them.

    Source: Han et al. 2018, "Co-teaching" (arXiv 1804.06872), section 4.

    Example:
        >>> from nbam_pyro.data import contaminate
        >>> labels = np.array(["low", "mid", "high"])
        >>> contaminate(labels, PairFlips(["low", "mid", "high"]), rate=1.0, seed=0).observed
        array(['mid', 'high', 'low'], dtype='<U4')
    """

    classes: Classes

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", class_names(self.classes))

    def groups(self, values: np.ndarray) -> list[np.ndarray]:
        names = class_names(self.classes)
        places = class_places(values, names)
        return [np.flatnonzero(places == place) for place in range(len(names))]

    def corrupt(self, values: np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        names = class_names(self.classes)
        places = (class_places(values, names) + 1) % len(names)
        return as_labels([names[place] for place in places], values)


@dataclass(frozen=True)
class SymmetricFlips(Corruption):
    """Symmetric flips: labels are replaced by a random other class, all equally probable.

    Args:
        classes: Class labels in order, as numbers or as texts; or K, if the labels are
            0, ..., K - 1.

    Raises:
        DataError: There are fewer than two classes, a class occurs twice, or a label is not among
            them.

    Example:
        >>> from nbam_pyro.data import contaminate
        >>> flipped = contaminate(np.zeros(6, int), SymmetricFlips(3), rate=0.5, seed=0)
        >>> flipped.observed
        array([0, 0, 1, 1, 0, 2])
    """

    classes: Classes

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", class_names(self.classes))

    def groups(self, values: np.ndarray) -> list[np.ndarray]:
        # This checks all labels, not only those that are chosen at random.
        class_places(np.unique(values), class_names(self.classes))
        return super().groups(values)

    def corrupt(self, values: np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        names = class_names(self.classes)
        # A step of 1 to K - 1, modulo K, leads to every other class and never to the true one.
        steps = rng.integers(1, len(names), size=len(values))
        places = (class_places(values, names) + steps) % len(names)
        return as_labels([names[place] for place in places], values)
