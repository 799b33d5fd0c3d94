"""Contamination of clean labels or measurements, so that the truth is known."""

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
    """Base class of artificial contamination; a subclass implements `corrupt`.

    Example:
        >>> class Zeroed(Corruption):
        ...     def corrupt(self, values, rows, rng):
        ...         return np.zeros_like(values)
        >>> contaminate(np.array([3.0, 4.0]), Zeroed(), rate=1.0, seed=0).observed
        array([0., 0.])
    """

    def groups(self, values: np.ndarray) -> list[np.ndarray]:
        """Return the groups of rows in which the rate holds; by default all rows are one group.

        Args:
            values: All clean values, (N,).

        Returns:
            Indices of the rows of each group; no row is in two groups.

        Raises:
            DataError: The values cannot be contaminated in this way.
        """
        return [np.arange(len(values))]

    def choose(self, rows: np.ndarray, rate: float, rng: np.random.Generator) -> np.ndarray:
        """Choose rows of one group to contaminate; by default an exact number of random rows.

        Args:
            rows: Indices of the rows of the group.
            rate: Share of these rows to contaminate, in [0, 1].
            rng: Random number generator.

        Returns:
            Indices of the chosen rows, each once.
        """
        return rng.permutation(rows)[: round(rate * len(rows))]

    @abstractmethod
    def corrupt(self, values: np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the observed values of the rows that are contaminated.

        Args:
            values: Clean values of the chosen rows of one group, (n,).
            rows: Indices of these rows among all rows, (n,), for contamination that depends on
                features.
            rng: Random number generator.

        Returns:
            Observed values, (n,).
        """


@dataclass(frozen=True)
class Contaminated:
    """Labels or measurements of which some are contaminated.

    Attributes:
        clean: Clean values, (N,).
        observed: Observed values, (N,).
        contaminated: True where a value was contaminated, (N,) booleans.
    """

    clean: np.ndarray
    observed: np.ndarray
    contaminated: np.ndarray

    @property
    def rate(self) -> float:
        """Share of the values that are contaminated."""
        return float(self.contaminated.mean())

    @property
    def rate_by_class(self) -> dict[Any, float]:
        """Share of the values that are contaminated, by true class."""
        classes, places = np.unique(self.clean, return_inverse=True)
        shares = np.bincount(places, self.contaminated) / np.bincount(places)
        return dict(zip(classes.tolist(), shares.tolist(), strict=True))

    def transition_matrix(self, classes: Classes) -> np.ndarray:
        """Return the transition matrix M = p(observed | true), counted from the values.

        Args:
            classes: Class labels in order, as numbers or as texts; or K, if the labels are
                0, ..., K - 1.

        Returns:
            Shares, (K, K), with one row per true class. A row sums to 1, or is NaN if no value is
            of that class.

        Raises:
            DataError: There are fewer than two classes, a class occurs twice, or a label is not
                among them.

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
    """Contaminate a share of clean values.

    The contamination of a row depends on its clean value only. A label of a mutual pair (two
    classes that flip into each other) therefore does not flip twice. The number of contaminated
    rows is exact up to rounding, except in `InstanceFlips`, where it is random.

    Args:
        values: Clean labels, as numbers or as texts, or clean measurements, (N,).
        how: Kind of contamination.
        rate: Share of rows to contaminate, in [0, 1].
        seed: Seed for the choice of rows and for their observed values.
        rate_kind: Rows that the rate refers to. With "per_source_class" the rate is the share of
            contaminated rows in each group. For `Flips` and `PairFlips` the groups are the source
            classes, for `Local` the group is the region, and otherwise all rows are one group. With
            "overall" the rate is a share of all N rows; all groups then have one common rate.

    Returns:
        The clean and observed values, and which of them are contaminated. The observed values have
        the type of `values` if this type can represent them. Otherwise, for example for a longer
        text, they have a wider type.

    Raises:
        DataError: The rate is outside [0, 1] or larger than the groups allow, or the values are
            empty, not one-dimensional, or cannot be contaminated in this way.

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
        raise DataError(f"rate is {rate}; it must be in [0, 1].")
    if clean.ndim != 1 or not clean.size:
        raise DataError(f"values have shape {clean.shape}; expected one value per row, (N,).")
    if rate_kind not in ("per_source_class", "overall"):
        raise DataError(f"rate_kind is {rate_kind!r}; expected 'per_source_class' or 'overall'.")
    rng = np.random.default_rng(seed)
    observed, contaminated = clean.copy(), np.zeros(len(clean), dtype=bool)
    groups = how.groups(clean)
    overall = rate_kind == "overall"
    rates = _common_rates(rate, len(clean), groups) if overall else [rate] * len(groups)
    for members, share in zip(groups, rates, strict=True):
        chosen = how.choose(members, share, rng)
        values_there = how.corrupt(clean[chosen], chosen, rng)
        # Without a wider type, assignment would cut longer texts and round shifted integers.
        observed = observed.astype(np.result_type(observed, values_there), copy=False)
        observed[chosen] = values_there
        contaminated[chosen] = True
    return Contaminated(clean, observed, contaminated)


def _common_rates(rate: float, total: int, groups: Sequence[np.ndarray]) -> list[float]:
    """Return the rate of each group that contaminates a given share of all rows.

    Args:
        rate: Share of all rows to contaminate.
        total: Number of all rows.
        groups: Indices of the rows of each group.

    Returns:
        Share of rows to contaminate in each group. The shares are equal, except that each group has
        a whole number of contaminated rows.
    """
    sizes = [len(members) for members in groups]
    wanted, sources = round(rate * total), sum(sizes)
    if wanted > sources:
        raise DataError(
            f"rate is {rate} of all {total} rows, but only {sources} of them can be contaminated. "
            f"The largest possible rate is {sources / total}."
        )
    # Rounding the running sum instead of each group makes the total exact.
    ends = [wanted * end // max(sources, 1) for end in accumulate(sizes)]
    counts = [end - start for start, end in pairwise([0, *ends])]
    return [count / max(size, 1) for count, size in zip(counts, sizes, strict=True)]
