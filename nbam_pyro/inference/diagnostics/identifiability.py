"""`Identifiability`: what the data can and cannot identify about a latent true label."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from nbam_pyro.models.priors.class_frequency import class_prior_sentence
from nbam_pyro.storage import Count, Finite, Probability

__all__ = ["Identifiability", "MutualPair", "Verdict"]

Verdict = Literal["identified", "weak", "cannot tell", "little contamination"]

# Up to this share of flagged rows, the verdict is "little contamination".
_LITTLE = 0.01
# The name of a class is identified if its margin is positive with at least this probability.
_SURE = 0.95
# A class is absorbed by others if its share is smaller than this fraction of an even share.
_EMPTY = 0.1
# Rows of M from equally probable starts are different if their total variation exceeds this.
_DISAGREE = 0.1
# The rate depends on sharpness if it varies by more than this share of itself and this much.
_BAND = 0.5, 0.02
# The rate is unknown if it varies by more than this.
_OPEN = 0.15
# The network fits worse than neighbours do if `Identifiability.echoed` exceeds this.
_ECHOED = 0.25


@dataclass(frozen=True)
class MutualPair:
    """Two classes that are mistaken for each other, with both interpretations of the labels.

    If the names of the two classes are exchanged, other rates explain the labels equally well.

    Attributes:
        classes: Numbers of the two classes.
        rates: p(second | first) and p(first | second), as the fit uses them.
        exchanged: The same two rates if the names of the classes are exchanged.
        decided: Whether verified labels confirm the interpretation that the fit uses.
    """

    classes: tuple[Count, Count]
    rates: tuple[Probability, Probability]
    exchanged: tuple[Probability, Probability]
    decided: bool

    def line(self, names: Sequence[object] | None = None) -> str:
        """Return a sentence with both interpretations of the pair.

        Args:
            names: Names of all classes; None to show class numbers (0, 1, ...).

        Example:
            >>> MutualPair((5, 6), (0.4, 0.4), (0.6, 0.6), False).line()
            '5<->6: .40, or .60 with the names exchanged; the data cannot tell which; the fit uses
            .40'
        """
        first, second = (_name(c, names) for c in self.classes)
        used, other = _rates(self.rates), _rates(self.exchanged)
        basis = "verified labels decide" if self.decided else "the data cannot tell which"
        readings = f"{used}, or {other} with the names exchanged"
        return f"{first}<->{second}: {readings}; {basis}; the fit uses {used}"


@dataclass(frozen=True, kw_only=True)
class Identifiability:
    r"""Whether the data identify the contamination of labels and the names of the classes.

    Contamination is identified if wrong labels can be separated from ambiguous rows. The names of
    the classes are identified if it is clear which class is which. If the likelihood cannot decide
    the names, the fit assumes that in each true class fewer labels are wrong than correct.

    `verdict` is one of four:

    * "identified": The data identify both.
    * "weak": A part of the result rests on an assumption, or other results are almost as good.
    * "cannot tell": The data do not identify the contamination or the names.
    * "little contamination": At most 1 % of the rows are flagged, so there is little to identify.

    A row is flagged if its responsibility, the probability P(z=1 | x, y) that its label is wrong,
    exceeds one half. M is the transition matrix p(observed | true).

    Attributes:
        flagged: Share of flagged rows.
        alarm: Reason why the fit has collapsed (`CollapseReport`), for example a rate near 0
            although many held-out labels contradict the predictor. None if it has not.
        margin: Permutation margin of each class k, (K,). With :math:`J_{kj} = n_k M_{kj} / n`, it
            is the trace of J minus the trace of the best other naming in which k has another name.
        margin_probability: Posterior probability that the margin of each class is positive, (K,).
        occupancy: Expected share of the rows that truly belong to each class, (K,).
        band: Contamination rate for several sharpnesses a of the predictor, as pairs (a, rate). The
            predicted probabilities are changed to p^a / sum p^a, so a > 1 makes the predictor more
            certain.
        restarts: Largest total variation between the row of M of each class and the same row from
            another start, among starts with equally probable labels out of fold, (K,).
        pairs: Every mutual pair of classes with both interpretations.
        echoed: Share of the nearest rows of flagged rows that have the same label as the flagged
            row, minus the share that the fit predicts. None if x is not a table or if no row is
            flagged.
        class_prior: Pseudo-count of each class of the prior on class frequencies, which assumes
            that classes are about equally frequent. None if there was no such prior.

    Example:
        >>> report = Identifiability(
        ...     flagged=0.2,
        ...     alarm=None,
        ...     margin=(0.1, 0.1),
        ...     margin_probability=(1.0, 1.0),
        ...     occupancy=(0.5, 0.5),
        ...     band=((0.5, 0.19), (1.0, 0.2), (2.0, 0.21)),
        ...     restarts=(0.0, 0.0),
        ...     pairs=(),
        ... )
        >>> print(report)
        Do the data identify the contamination? Verdict: identified.
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
        """Verdict in one or two words; `lines` gives its reasons."""
        if any(self._reasons_for_cannot_tell(None)):
            return "cannot tell"
        if self.flagged <= _LITTLE:
            return "little contamination"
        return "weak" if any(self._reasons_for_weak(None)) else "identified"

    def lines(self, names: Sequence[object] | None = None) -> list[str]:
        """Return the report as sentences.

        The sentences state the verdict, its reasons with the classes concerned, the assumption
        about class frequencies, and both interpretations of every mutual pair.

        Args:
            names: Names of the classes; None to show class numbers (0, 1, ...).
        """
        reasons = [*self._reasons_for_cannot_tell(names)]
        if self.verdict == "weak":
            reasons += self._reasons_for_weak(names)
        if self.class_prior is not None:
            reasons.append(class_prior_sentence(self.class_prior))
        first = f"Do the data identify the contamination? Verdict: {self.verdict}."
        return [first, *reasons, *(pair.line(names) for pair in self.pairs)]

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def _reasons_for_cannot_tell(self, names: Sequence[object] | None) -> Iterator[str]:
        """Yield a sentence for each reason for the verdict "cannot tell"."""
        if self.alarm is not None:
            yield f"The fit has {self.alarm}."
        even = 1 / len(self.occupancy)
        empty = [c for c, share in enumerate(self.occupancy) if share < _EMPTY * even]
        if empty:
            yield (
                f"Almost no row is assigned to the following classes: {_list(empty, names)}. Other "
                "classes have absorbed their rows."
            )
        decided = {c for pair in self.pairs if pair.decided for c in pair.classes}
        unsure = [
            c for c, p in enumerate(self.margin_probability) if p < _SURE and c not in decided
        ]
        if unsure:
            yield (
                "The data cannot tell which class is which among the following classes: "
                f"{_list(unsure, names)}."
            )
        if self.echoed is not None and self.echoed > _ECHOED and self.flagged > _LITTLE:
            yield (
                "Rows near a flagged row have the label of that row more often than the fit "
                f"predicts, by {100 * self.echoed:.0f} percentage points. Either the network fits "
                "less well than a nearest-neighbour rule, or labels are wrong in whole regions. "
                "Try a more flexible network."
            )
        low, high = self._rates()
        if high - low > _OPEN:
            yield (
                "The data cannot tell how many labels are wrong. The contamination rate is between "
                f"{low:.2f} and {high:.2f} if the predictor is made half to twice as certain. "
                "Classes overlap so much that wrong labels and ambiguous rows look alike."
            )

    def _reasons_for_weak(self, names: Sequence[object] | None) -> Iterator[str]:
        """Yield a sentence for each reason for the verdict "weak"."""
        open_pairs = [pair for pair in self.pairs if not pair.decided]
        if open_pairs:
            classes = sorted({c for pair in open_pairs for c in pair.classes})
            yield (
                f"The names of the classes {_list(classes, names)} rest on the assumption that "
                "fewer of their labels are wrong than correct. Verify some labels to check this."
            )
        apart = [c for c, distance in enumerate(self.restarts) if distance > _DISAGREE]
        if apart:
            yield (
                "Fits from other starts explain the labels equally well with other flips of the "
                f"classes {_list(apart, names)}."
            )
        low, high = self._rates()
        middle = dict(self.band).get(1.0, 0.0)
        if high - low > max(_BAND[1], _BAND[0] * middle):
            yield (
                f"The contamination rate is between {low:.2f} and {high:.2f} if the predictor is "
                "made half to twice as certain. Part of it may be ambiguity."
            )

    def _rates(self) -> tuple[float, float]:
        """Return the lowest and the highest rate of the band; zeros if it is empty."""
        rates = [rate for _, rate in self.band] or [0.0]
        return min(rates), max(rates)


def _name(c: int, names: Sequence[object] | None) -> str:
    """Return the name of a class, or its number if there are no names."""
    return str(c if names is None else names[c])


def _list(classes: Sequence[int], names: Sequence[object] | None) -> str:
    """Return the names of some classes, separated by commas."""
    return ", ".join(_name(c, names) for c in classes)


def _rates(pair: tuple[float, float]) -> str:
    """Return two rates as text, or one of them if both are the same to two digits."""
    texts = [f"{rate:.2f}".removeprefix("0") for rate in pair]
    return texts[0] if texts[0] == texts[1] else " and ".join(texts)
