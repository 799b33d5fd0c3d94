"""What a review is for, and how much the answer about each row is worth for it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from typing import Any, Literal, TypeAlias

import numpy as np

from nbam_pyro.decisions.probabilities import as_probabilities
from nbam_pyro.errors import DataError

__all__ = ["GOALS", "Goal", "Posteriors"]

Goal: TypeAlias = Literal["flags", "verdict", "rates"]
"""What a review is for: fewer wrong flags, a verdict, or the rates of the classes."""
GOALS: tuple[Goal, ...] = ("flags", "verdict", "rates")

# Rows of each class of a pair that come before rows of other open classes.
_PAIR_ROWS = 10


@dataclass(frozen=True, kw_only=True, eq=False)
class Posteriors:
    """Posteriors of the elements of all targets, n of them, and what a fit leaves open.

    Attributes:
        responsibility: Probability that each target is contaminated, in its own shape.
        true_label: Probability of each true class, (n, K); None if it is unknown.
        pairs: Pairs of classes whose names may be exchanged, the most plausible exchange first.
        classes: Further classes whose rows or rates are open.
        identified: Whether the verdict is "identified"; None if there is no verdict.
    """

    responsibility: np.ndarray
    true_label: np.ndarray | None = None
    pairs: Sequence[tuple[int, int]] = ()
    classes: Sequence[int] = ()
    identified: bool | None = None

    @classmethod
    def of(cls, source: Any) -> "Posteriors":
        """Return what a fit says, or responsibilities alone.

        Args:
            source: Fit, posteriors, or responsibilities in any container.

        Raises:
            DataError: A responsibility is not in [0, 1], or there are no rows.
        """
        if isinstance(source, cls):
            return source
        rows = getattr(source, "training_rows", None)
        if rows is None:
            return cls(responsibility=as_probabilities(source, "responsibility"))
        p, evidence = rows.true_label, source.label_evidence
        return cls(
            responsibility=as_probabilities(rows.responsibility, "responsibility"),
            true_label=None if p is None else p.reshape(-1, p.shape[-1]),
            pairs=() if evidence is None else [pair.classes for pair in evidence.open_pairs],
            classes=() if evidence is None else evidence.open_classes,
            identified=source.verdict.level == "identified",
        )

    def rows(self, keep: np.ndarray) -> "Posteriors":
        """Return the posteriors of some rows, for targets of one element.

        Args:
            keep: Places of the rows, or a boolean mask.
        """
        p = self.true_label
        return replace(
            self,
            responsibility=self.responsibility[keep],
            true_label=None if p is None else p[keep],
        )

    def value(self, goal: Goal) -> np.ndarray:
        """Return how much the answer about each element is worth, (n,).

        Args:
            goal: What the answers are for.

        Raises:
            DataError: The goal has another name, needs a fit of labels, or nothing is open.
        """
        match goal:
            case "flags":
                r = self.responsibility.ravel()
                return np.minimum(r, 1 - r)
            case "verdict":
                return self._deciding()
            case "rates":
                p = self._labels(goal)
                return (p * (1 - p) / _size(p)).max(1)
            case _:
                raise DataError(f"goal is {goal!r}. Write {', '.join(map(repr, GOALS))}, or None.")

    def order(self, goal: Goal, value: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the places of all elements, those that are worth most first, (n,).

        Args:
            goal: What the answers are for.
            value: Result of `value`, (n,).
            rng: Random numbers, for elements that are worth the same.
        """
        if goal == "verdict":
            return self._by_class(value, rng)
        if goal == "rates":
            return _least_known_first(self._labels(goal))
        return (-value).argsort(kind="stable")

    def _labels(self, goal: Goal) -> np.ndarray:
        if self.true_label is None:
            raise DataError(
                f"The goal {goal!r} needs the posterior of true labels. Give a fit of labels, or "
                "use the goal 'flags'."
            )
        return self.true_label

    def _deciding(self) -> np.ndarray:
        """Probability that the row belongs to a class that is open; 1 if only the share is."""
        p = self._labels("verdict")
        if self.identified:
            raise DataError(
                "The verdict of this fit is 'identified', so no answer is needed for it. Use the "
                "goal 'flags' or 'rates'."
            )
        known = self.responsibility.ravel() % 1 == 0
        wanted = [*dict.fromkeys(chain(chain.from_iterable(self.pairs), self.classes))]
        found = p[:, wanted].max(1) if wanted else np.ones(len(p))
        value: np.ndarray = np.where(known, 0.0, found)
        return value

    def _by_class(self, value: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Take sure rows of pairs first, then random rows of other open classes in turn."""
        best = self._labels("verdict").argmax(1)
        chance = rng.random(len(value))

        def rows_of(c: int, size: np.ndarray) -> np.ndarray:
            mine = np.flatnonzero((best == c) & (value > 0))
            return mine[size[mine].argsort(kind="stable")]

        paired = [rows_of(c, -value) for c in dict.fromkeys(chain.from_iterable(self.pairs))]
        others = [rows_of(c, chance) for c in self.classes]
        turns = chain(
            _in_turn([rows[:_PAIR_ROWS] for rows in paired]),
            _in_turn([*(rows[_PAIR_ROWS:] for rows in paired), *others]),
        )
        first = np.fromiter(turns, dtype=int)
        # Without open classes, and after their rows, the others follow at random.
        later = np.where(value > 0, chance, np.inf)
        later[first] = np.nan
        return np.concatenate([first, later.argsort(kind="stable")[: len(value) - len(first)]])


def _in_turn(turns: Iterable[np.ndarray]) -> Iterator[int]:
    nothing = object()
    for one in zip_longest(*turns, fillvalue=nothing):
        yield from (int(place) for place in one if place is not nothing)


def _size(p: np.ndarray) -> np.ndarray:
    """Expected number of rows of each class, squared, (K,)."""
    size: np.ndarray = p.sum(0).clip(min=1.0) ** 2
    return size


def _least_known_first(p: np.ndarray) -> np.ndarray:
    """Take from the class whose rate is least known the row that says most about it.

    The rate of class c is the part of its rows that have another label. Its variance given the
    data, as far as unknown true labels cause it, is at most about the sum over rows of p (1 - p)
    divided by the square of the number of rows.

    Args:
        p: Probability of each true class, (n, K).
    """
    unknown = p * (1 - p) / _size(p)
    left = unknown.sum(0)
    orders = [(-column).argsort(kind="stable") for column in unknown.T]
    next_one = [0] * len(orders)
    taken = np.zeros(len(p), dtype=bool)
    chosen = np.empty(len(p), dtype=int)
    for count in range(len(p)):
        c = int(left.argmax())
        while taken[orders[c][next_one[c]]]:
            next_one[c] += 1
        row = orders[c][next_one[c]]
        chosen[count], taken[row] = row, True
        left -= unknown[row]
    return chosen
