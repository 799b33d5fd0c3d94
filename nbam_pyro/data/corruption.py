"""Contaminate clean labels or measurements on purpose, so that the truth is known."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nbam_pyro.errors import DataError

__all__ = [
    "Contaminated",
    "Corruption",
    "Flips",
    "GrossErrors",
    "Shift",
    "SymmetricFlips",
    "contaminate",
]


class Corruption(ABC):
    """What contamination does to clean values: a class with one method to write.

    Example:
        >>> class Zeroed(Corruption):
        ...     def corrupt(self, values, rng):
        ...         return np.zeros_like(values)
        >>> contaminate(np.array([3.0, 4.0]), Zeroed(), rate=1.0, seed=0).observed
        array([0., 0.])
    """

    def groups(self, values: np.ndarray) -> list[np.ndarray]:
        """Rows among which the rate applies, as disjoint index arrays; one group of all rows.

        Args:
            values: all clean values, (N,).

        Raises:
            DataError: the values are not of a kind that can be corrupted this way.
        """
        return [np.arange(len(values))]

    @abstractmethod
    def corrupt(self, values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """What clean values are observed as once they are contaminated.

        Args:
            values: the clean values of the chosen rows of one group, (n,).
            rng: the source of all randomness.

        Returns:
            the observed values, (n,).
        """


@dataclass(frozen=True)
class Flips(Corruption):
    """Asymmetric flips: each source class is taken for one other class, at a rate of its own rows.

    Args:
        directions: source class -> the class its flipped labels go to, as numbers or as text.

    Raises:
        DataError: a class is mapped to itself; labels and classes are not both text or both
            numbers.

    Example:
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
        _require_kind([*self.directions, *self.directions.values()], values)
        return [np.flatnonzero(values == source) for source in self.directions]

    def corrupt(self, values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        targets: dict[Any, Any] = dict(self.directions)
        return _labels([targets.get(value, value) for value in values.tolist()], values)


@dataclass(frozen=True)
class SymmetricFlips(Corruption):
    """Symmetric flips: another class at random, each as probable, never the true one.

    Args:
        classes: all classes, as numbers or as text, or their number K for 0, ..., K - 1.

    Raises:
        DataError: there are fewer than two classes, or one twice; a label is not among them.

    Example:
        >>> flipped = contaminate(np.zeros(6, int), SymmetricFlips(3), rate=0.5, seed=0)
        >>> flipped.observed
        array([0, 0, 1, 1, 0, 2])
    """

    classes: Sequence[int] | Sequence[str] | int

    def __post_init__(self) -> None:
        # A count is often the largest label plus one, a number of NumPy.
        single = isinstance(self.classes, int | np.integer)
        classes: Any = self.classes
        object.__setattr__(self, "classes", int(classes) if single else tuple(classes))
        if not 2 <= len(set(self._names)) == len(self._names):
            raise DataError(f"classes is {self.classes}; flips need two or more distinct classes.")

    @property
    def _names(self) -> Sequence[int | str]:
        return range(self.classes) if isinstance(self.classes, int) else self.classes

    def groups(self, values: np.ndarray) -> list[np.ndarray]:
        _require_kind(self._names, values)
        # All labels are checked, not only those that chance chooses.
        self._places(np.unique(values))
        return super().groups(values)

    def corrupt(self, values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        names = self._names
        # A step of 1 to K - 1 around the circle of classes reaches every other class, never home.
        steps = rng.integers(1, len(names), size=len(values))
        places = (self._places(values) + steps) % len(names)
        return _labels([names[place] for place in places], values)

    def _places(self, values: np.ndarray) -> np.ndarray:
        place = {name: i for i, name in enumerate(self._names)}
        try:
            return np.array([place[value] for value in values.tolist()], dtype=int)
        except KeyError as error:
            raise DataError(f"Label {error} is not among the classes; add it to them.") from None


@dataclass(frozen=True)
class Shift(Corruption):
    """Measurements that are off by a constant, all in one direction; they come back as floats.

    Args:
        by: what is added, in units of y; its sign is the direction.

    Raises:
        DataError: the shift is 0 or not finite; the values are not numbers.

    Example:
        >>> contaminate(np.array([1.0, 2.0, 3.0]), Shift(by=-10.0), rate=0.34, seed=0).observed
        array([ 1.,  2., -7.])
    """

    by: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.by) and self.by != 0):
            raise DataError(f"by is {self.by}; a shift is a finite number other than 0.")

    def groups(self, values: np.ndarray) -> list[np.ndarray]:
        _require_numbers(values)
        return super().groups(values)

    def corrupt(self, values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return values + float(self.by)


@dataclass(frozen=True)
class GrossErrors(Corruption):
    """Measurements replaced by far-off ones, y + s scale (1 + e); they come back as floats.

    The sign s is -1 or 1, each as probable, and e ~ Exponential(1), so that every error is larger
    than the scale, twice as large in the mean, and has no largest value.

    Args:
        scale: the smallest error, in units of y, positive.

    Raises:
        DataError: the scale is not positive and finite; the values are not numbers.

    Example:
        >>> contaminate(np.zeros(4), GrossErrors(scale=5.0), rate=0.5, seed=4).observed.round(1)
        array([9.7, 0. , 0. , 5.7])
    """

    scale: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.scale) and self.scale > 0):
            raise DataError(f"scale is {self.scale}; it must be positive and finite.")

    def groups(self, values: np.ndarray) -> list[np.ndarray]:
        _require_numbers(values)
        return super().groups(values)

    def corrupt(self, values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        sign = rng.choice([-1.0, 1.0], size=len(values))
        error = self.scale * sign * (1 + rng.exponential(size=len(values)))
        return (values + error).astype(values.dtype if values.dtype.kind == "f" else float)


@dataclass(frozen=True)
class Contaminated:
    """Labels or measurements of which some are contaminated.

    Attributes:
        observed: the values as they are observed, (N,).
        contaminated: which of them are contaminated, (N,) booleans.
    """

    observed: np.ndarray
    contaminated: np.ndarray

    @property
    def rate(self) -> float:
        """The realised share of contaminated values."""
        return float(self.contaminated.mean())


def contaminate(values: np.ndarray, how: Corruption, *, rate: float, seed: int) -> Contaminated:
    """Contaminate a share of clean values, always judged by the clean copy.

    Because what happens to a row depends on its clean value only, the classes of a mutual pair do
    not flip twice. The number of contaminated rows is exact up to rounding.

    Args:
        values: clean labels, as numbers or as text, or clean measurements, (N,).
        how: what contamination does to them.
        rate: share of each group of rows to contaminate, in [0, 1]; the groups are the source
            classes of `Flips` and all rows together otherwise.
        seed: of the choice of rows and of what happens to them.

    Returns:
        the observed values and which of them are contaminated. Their type is that of `values`
        unless what is observed does not fit it, for instance a longer text.

    Raises:
        DataError: the rate is outside [0, 1], the values are empty or not one-dimensional, or not
            of a kind that can be corrupted in this way.

    Example:
        >>> flipped = contaminate(np.array([0] * 10 + [1] * 10), Flips({0: 1}), rate=0.3, seed=0)
        >>> int(flipped.contaminated.sum()), flipped.rate
        (3, 0.15)
    """
    clean = np.asarray(values)
    if not 0 <= rate <= 1:
        raise DataError(f"rate is {rate}; a share lies in [0, 1].")
    if clean.ndim != 1 or not clean.size:
        raise DataError(f"values have shape {clean.shape}; give one value per row, (N,).")
    rng = np.random.default_rng(seed)
    observed, contaminated = clean.copy(), np.zeros(len(clean), dtype=bool)
    for members in how.groups(clean):
        chosen = rng.permutation(members)[: round(rate * len(members))]
        values_there = how.corrupt(clean[chosen], rng)
        # Assignment would cut a longer text and round a shifted integer.
        observed = observed.astype(np.result_type(observed, values_there), copy=False)
        observed[chosen] = values_there
        contaminated[chosen] = True
    return Contaminated(observed, contaminated)


def _labels(classes: list[int | str], like: np.ndarray) -> np.ndarray:
    """Classes in the type of other labels if they fit it, else in a type of their own."""
    plain = np.array(classes)
    cast = plain.astype(like.dtype)
    return cast if np.array_equal(cast, plain) else plain


def _require_kind(classes: Sequence[int | str], values: np.ndarray) -> None:
    text = values.dtype.kind in "UT"
    if values.dtype.kind != "O" and any(isinstance(name, str) != text for name in classes):
        raise DataError(
            f"Labels of type {values.dtype} do not match the classes {list(classes)}; "
            "give both as numbers or both as text."
        )


def _require_numbers(values: np.ndarray) -> None:
    if values.dtype.kind not in "iuf":
        raise DataError(f"Values of type {values.dtype} are no measurements; give numbers.")
