"""Flips of labels that depend on the true class only."""

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
"""The standard asymmetric flips of handwritten digits; 5 and 6 are a mutual pair."""

CIFAR10_FLIPS: Mapping[int, int] = MappingProxyType({9: 1, 2: 0, 4: 7, 3: 5, 5: 3})
"""Truck to automobile, bird to airplane, deer to horse; cat and dog are a mutual pair."""

FASHION_MNIST_FLIPS: Mapping[int, int] = MappingProxyType({9: 7, 7: 5, 2: 6, 4: 3, 3: 4})
"""Boot to sneaker to sandal, pullover to shirt; coat and dress are a mutual pair."""


@dataclass(frozen=True)
class Flips(Corruption):
    """Asymmetric flips: each source class is taken for one other class, at a rate of its own rows.

    Args:
        directions: source class -> the class its flipped labels go to, as numbers or as text.

    Raises:
        DataError: a class is mapped to itself; labels and classes are not both text or both
            numbers.

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
                raise DataError(f"Class {source!r} flips to itself; name another class.")
        # A copy, so that later changes of the caller's mapping do not escape the check.
        object.__setattr__(self, "directions", dict(self.directions))

    def groups(self, values: np.ndarray) -> list[np.ndarray]:
        check_kind([*self.directions, *self.directions.values()], values)
        return [np.flatnonzero(values == source) for source in self.directions]

    def corrupt(self, values: np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        targets: dict[Any, Any] = dict(self.directions)
        return as_labels([targets.get(value, value) for value in values.tolist()], values)


@dataclass(frozen=True)
class PairFlips(Corruption):
    """Pair flips: each class is taken for the next around the circle of classes, at one rate.

    Args:
        classes: all classes in order, as numbers or as text, or their number K for 0, ..., K - 1.

    Raises:
        DataError: there are fewer than two classes, or one twice; a label is not among them.

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
    """Symmetric flips: another class at random, each as probable, never the true one.

    Args:
        classes: all classes, as numbers or as text, or their number K for 0, ..., K - 1.

    Raises:
        DataError: there are fewer than two classes, or one twice; a label is not among them.

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
        # All labels are checked, not only those that chance chooses.
        class_places(np.unique(values), class_names(self.classes))
        return super().groups(values)

    def corrupt(self, values: np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        names = class_names(self.classes)
        # A step of 1 to K - 1 around the circle of classes reaches every other class, never home.
        steps = rng.integers(1, len(names), size=len(values))
        places = (class_places(values, names) + steps) % len(names)
        return as_labels([names[place] for place in places], values)
