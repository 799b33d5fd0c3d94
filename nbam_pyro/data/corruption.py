"""Contaminate clean labels or measurements on purpose, so that the truth is known."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any, Literal

import numpy as np

from nbam_pyro.data.classes import Classes, class_names, class_places
from nbam_pyro.errors import DataError

__all__ = ["Contaminated", "Corruption", "contaminate"]


class Corruption(ABC):
    """What contamination does to clean values: a class with one method to write.

    Example:
        >>> class Zeroed(Corruption):
        ...     def corrupt(self, values, rows, rng):
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

    def choose(self, rows: np.ndarray, rate: float, rng: np.random.Generator) -> np.ndarray:
        """The rows of one group to contaminate; by default an exact share, all as probable.

        Args:
            rows: indices of the rows of the group.
            rate: share of them to contaminate, in [0, 1].
            rng: the source of all randomness.

        Returns:
            some of the rows, each once.
        """
        return rng.permutation(rows)[: round(rate * len(rows))]

    @abstractmethod
    def corrupt(self, values: np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """What clean values are observed as once they are contaminated.

        Args:
            values: the clean values of the chosen rows of one group, (n,).
            rows: the indices of these rows among all, (n,), for what depends on their features.
            rng: the source of all randomness.

        Returns:
            the observed values, (n,).
        """


@dataclass(frozen=True)
class Contaminated:
    """Labels or measurements of which some are contaminated.

    Attributes:
        clean: the values before, (N,).
        observed: the values as they are observed, (N,).
        contaminated: which of them are contaminated, (N,) booleans.
    """

    clean: np.ndarray
    observed: np.ndarray
    contaminated: np.ndarray

    @property
    def rate(self) -> float:
        """The realised share of contaminated values."""
        return float(self.contaminated.mean())

    @property
    def rate_by_class(self) -> dict[Any, float]:
        """The realised share of contaminated values of each true class that occurs."""
        classes, places = np.unique(self.clean, return_inverse=True)
        shares = np.bincount(places, self.contaminated) / np.bincount(places)
        return dict(zip(classes.tolist(), shares.tolist(), strict=True))

    def transition_matrix(self, classes: Classes) -> np.ndarray:
        """The realised transition matrix M = p(observed | true).

        Args:
            classes: all classes in order, as numbers or as text, or their number K for 0, ...,
                K - 1.

        Returns:
            shares, (K, K), true classes by rows; a row sums to 1, or is NaN where no value is of
            that class.

        Raises:
            DataError: there are fewer than two classes, or one twice; a label is not among them.

        Example:
            >>> from nbam_pyro.data import Flips
            >>> flipped = contaminate(np.arange(100) % 2, Flips({0: 1}), rate=0.3, seed=0)
            >>> flipped.transition_matrix(2)
            array([[0.7, 0.3],
                   [0. , 1. ]])
        """
        names = class_names(classes)
        counts = np.zeros((len(names), len(names)))
        np.add.at(counts, (class_places(self.clean, names), class_places(self.observed, names)), 1)
        totals = counts.sum(axis=1, keepdims=True)
        return counts / np.where(totals > 0, totals, np.nan)


def contaminate(
    values: np.ndarray,
    how: Corruption,
    *,
    rate: float,
    seed: int,
    rate_kind: Literal["per_source_class", "overall"] = "per_source_class",
) -> Contaminated:
    """Contaminate a share of clean values, always judged by the clean copy.

    Because what happens to a row depends on its clean value only, the classes of a mutual pair do
    not flip twice. The number of contaminated rows is exact up to rounding, except where it is
    random by construction (`InstanceFlips`).

    Args:
        values: clean labels, as numbers or as text, or clean measurements, (N,).
        how: what contamination does to them.
        rate: share of rows to contaminate, in [0, 1].
        seed: of the choice of rows and of what happens to them.
        rate_kind: what the rate is a share of. "per_source_class": of each group of rows; the
            groups are the source classes of `Flips` and `PairFlips`, and all rows together
            otherwise, each within the region if it is `Local`. "overall": of all N rows, taken
            from the groups at one common rate.

    Returns:
        the values before and after and which of them are contaminated. The type of the observed
        ones is that of `values` unless they do not fit it, for instance a longer text.

    Raises:
        DataError: the rate is outside [0, 1] or larger overall than the groups allow, the values
            are empty or not one-dimensional, or not of a kind that can be corrupted in this way.

    Example:
        >>> from nbam_pyro.data import Flips
        >>> labels = np.array([0] * 10 + [1] * 10)
        >>> flipped = contaminate(labels, Flips({0: 1}), rate=0.3, seed=0)
        >>> flipped.rate, flipped.rate_by_class
        (0.15, {0: 0.3, 1: 0.0})
        >>> contaminate(labels, Flips({0: 1}), rate=0.3, seed=0, rate_kind="overall").rate_by_class
        {0: 0.6, 1: 0.0}
    """
    clean = np.array(values)
    if not 0 <= rate <= 1:
        raise DataError(f"rate is {rate}; a share lies in [0, 1].")
    if clean.ndim != 1 or not clean.size:
        raise DataError(f"values have shape {clean.shape}; give one value per row, (N,).")
    if rate_kind not in ("per_source_class", "overall"):
        raise DataError(f"rate_kind is {rate_kind!r}; choose per_source_class or overall.")
    rng = np.random.default_rng(seed)
    observed, contaminated = clean.copy(), np.zeros(len(clean), dtype=bool)
    groups = how.groups(clean)
    overall = rate_kind == "overall"
    rates = _common_rates(rate, len(clean), groups) if overall else [rate] * len(groups)
    for members, share in zip(groups, rates, strict=True):
        chosen = how.choose(members, share, rng)
        values_there = how.corrupt(clean[chosen], chosen, rng)
        # Assignment would cut a longer text and round a shifted integer.
        observed = observed.astype(np.result_type(observed, values_there), copy=False)
        observed[chosen] = values_there
        contaminated[chosen] = True
    return Contaminated(clean, observed, contaminated)


def _common_rates(rate: float, total: int, groups: Sequence[np.ndarray]) -> list[float]:
    """Rates of the groups, alike up to one row, that together make a share of all rows."""
    sizes = [len(members) for members in groups]
    wanted, sources = round(rate * total), sum(sizes)
    if wanted > sources:
        raise DataError(
            f"rate is {rate} of all {total} rows, but only {sources} of them can be contaminated; "
            f"the largest possible one is {sources / total}."
        )
    # Rounding the running sum instead of each group makes the total exact.
    ends = [wanted * end // max(sources, 1) for end in accumulate(sizes)]
    counts = [end - start for start, end in pairwise([0, *ends])]
    return [count / max(size, 1) for count, size in zip(counts, sizes, strict=True)]
