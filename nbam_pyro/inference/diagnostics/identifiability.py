"""What the data can tell about a latent true label, and what they cannot."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from nbam_pyro.models.priors.class_frequency import class_prior_sentence
from nbam_pyro.storage import Count, Finite, Probability

__all__ = ["Identifiability", "MutualPair", "Verdict"]

Verdict = Literal["identified", "weak", "cannot tell", "little contamination"]

# At most so many rows are more probably wrong than right: there is little to identify.
_LITTLE = 0.01
# The names of a class are sure with this posterior probability of a positive margin.
_SURE = 0.95
# A class that fewer rows than this share of an even one belong to has been absorbed by others.
_EMPTY = 0.1
# Rows of M from equally probable starts differ by more than this, in total variation.
_DISAGREE = 0.1
# The rate over the band of sharpness varies by more than this share of itself, and this much.
_BAND = 0.5, 0.02
# It varies by so much that nobody knows how much is contaminated.
_OPEN = 0.15
# Neighbours of flagged rows have the flagged label by so much more often than the fit predicts.
_ECHOED = 0.25


@dataclass(frozen=True)
class MutualPair:
    """Two classes that are mistaken for each other, and the two readings of it.

    With the names of the two classes exchanged other rates explain the labels exactly as well.

    Attributes:
        classes: the two of them.
        rates: p(second | first) and p(first | second), as taken.
        exchanged: the same with the names exchanged.
        decided: whether verified labels say which it is.
    """

    classes: tuple[Count, Count]
    rates: tuple[Probability, Probability]
    exchanged: tuple[Probability, Probability]
    decided: bool

    def line(self, names: Sequence[object] | None = None) -> str:
        """Both readings in words.

        Args:
            names: of the classes; their numbers if None.

        Example:
            >>> MutualPair((5, 6), (0.4, 0.4), (0.6, 0.6), False).line()
            '5<->6: .40, or .60 with the names exchanged; the data cannot tell; taken: .40'
        """
        first, second = (_name(c, names) for c in self.classes)
        taken, other = _rates(self.rates), _rates(self.exchanged)
        who = "verified labels decide" if self.decided else "the data cannot tell"
        readings = f"{taken}, or {other} with the names exchanged"
        return f"{first}<->{second}: {readings}; {who}; taken: {taken}"


@dataclass(frozen=True, kw_only=True)
class Identifiability:
    r"""Can contamination be told from ambiguity, and which class is which?

    Names rest on one assumption: of each true class fewer labels are wrong than right wherever the
    likelihood cannot decide.

    Attributes:
        flagged: share of rows more probably wrong than right.
        alarm: why the fit has collapsed, if it has: a rate near 0 while many held-out labels
            contradict the predictor, or most rows contaminated.
        margin: of each class, the permutation margin: with :math:`J_{kj} = n_k M_{kj} / n`, the
            trace of J less that of the best other naming in which k has another name, (K,).
        margin_probability: posterior probability that it is positive, (K,).
        occupancy: expected share of the rows that truly are of each class, (K,).
        band: contamination rate by sharpness a of the predictor, p^a / sum p^a: what the rate would
            be if the predictor were less or more sure than it is.
        restarts: of each class, the largest difference between its row of M and that from another
            start whose labels are as probable out of fold, in total variation, (K,).
        pairs: every mutual pair with both readings.
        echoed: of the nearest rows of flagged ones, in a table, the share with the flagged label
            less the share that the fit predicts; None where there is no table or no flagged row.
        class_prior: pseudo-count of each class by which class frequencies were supposed to be even;
            None where nothing was supposed.
    """

    flagged: Probability
    alarm: str | None
    margin: tuple[Finite, ...]
    margin_probability: tuple[Probability, ...]
    occupancy: tuple[Probability, ...]
    band: tuple[tuple[Finite, Probability], ...]
    restarts: tuple[Finite, ...]
    pairs: tuple[MutualPair, ...]
    echoed: Finite | None = None
    class_prior: Finite | None = None

    @property
    def verdict(self) -> Verdict:
        """In a word."""
        if any(self._cannot_tell(None)):
            return "cannot tell"
        if self.flagged <= _LITTLE:
            return "little contamination"
        return "weak" if any(self._weak(None)) else "identified"

    def lines(self, names: Sequence[object] | None = None) -> list[str]:
        """The verdict, its reasons with the classes concerned, what was supposed of frequencies,
        and both readings of every pair.

        Args:
            names: of the classes; their numbers if None.
        """
        reasons = [*self._cannot_tell(names)]
        if self.verdict == "weak":
            reasons += self._weak(names)
        if self.class_prior is not None:
            reasons.append(class_prior_sentence(self.class_prior))
        first = f"Can the data tell? Verdict: {self.verdict}."
        return [first, *reasons, *(pair.line(names) for pair in self.pairs)]

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def _cannot_tell(self, names: Sequence[object] | None) -> Iterator[str]:
        if self.alarm is not None:
            yield f"The fit has {self.alarm}."
        even = 1 / len(self.occupancy)
        empty = [c for c, share in enumerate(self.occupancy) if share < _EMPTY * even]
        if empty:
            yield f"Hardly any row is taken for {_list(empty, names)}: others have absorbed it."
        decided = {c for pair in self.pairs if pair.decided for c in pair.classes}
        unsure = [
            c for c, p in enumerate(self.margin_probability) if p < _SURE and c not in decided
        ]
        if unsure:
            yield f"Which class is which is open among {_list(unsure, names)}."
        if self.echoed is not None and self.echoed > _ECHOED and self.flagged > _LITTLE:
            yield (
                f"Rows around the flagged ones have the same label, {self.echoed:.0%} more of them "
                "than the fit predicts: the network fits less well than its neighbours do, or "
                "labels are wrong in whole regions. Try a more flexible network."
            )
        low, high = self._rates()
        if high - low > _OPEN:
            yield (
                f"How much is wrong is open: the rate would be {low:.2f} to {high:.2f} if the "
                "predictor were half or twice as sure. Classes overlap so much that wrong labels "
                "and ambiguous ones look alike."
            )

    def _weak(self, names: Sequence[object] | None) -> Iterator[str]:
        open_pairs = [pair for pair in self.pairs if not pair.decided]
        if open_pairs:
            classes = sorted({c for pair in open_pairs for c in pair.classes})
            yield (
                f"The names of {_list(classes, names)} rest on the assumption that fewer of their "
                "labels are wrong than right; verified labels would decide."
            )
        apart = [c for c, distance in enumerate(self.restarts) if distance > _DISAGREE]
        if apart:
            which = _list(apart, names)
            yield f"Other starts explain the labels as well with other flips of {which}."
        low, high = self._rates()
        middle = dict(self.band).get(1.0, 0.0)
        if high - low > max(_BAND[1], _BAND[0] * middle):
            yield (
                f"The rate would be {low:.2f} to {high:.2f} if the predictor were "
                "half or twice as sure: part of it may be ambiguity."
            )

    def _rates(self) -> tuple[float, float]:
        """The lowest and the highest rate over the band; zeros where there is none."""
        rates = [rate for _, rate in self.band] or [0.0]
        return min(rates), max(rates)


def _name(c: int, names: Sequence[object] | None) -> str:
    return str(c if names is None else names[c])


def _list(classes: Sequence[int], names: Sequence[object] | None) -> str:
    return ", ".join(_name(c, names) for c in classes)


def _rates(pair: tuple[float, float]) -> str:
    texts = [f"{rate:.2f}".removeprefix("0") for rate in pair]
    return texts[0] if texts[0] == texts[1] else " and ".join(texts)
