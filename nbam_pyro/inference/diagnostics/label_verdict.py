"""The verdict on labels: reasons, competing explanations, and what would decide between them."""

import math
from collections.abc import Iterable, Iterator

from nbam_pyro.inference.diagnostics.label_evidence import DECIDING, LabelEvidence, MutualPair
from nbam_pyro.models.priors.class_frequency import class_prior_sentence
from nbam_pyro.outputs.verdict import Explanation, Level, Verdict

__all__ = ["label_verdict"]

# Up to this share of flagged rows there is little contamination.
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
# The network fits worse than neighbours do if `LabelEvidence.echoed` exceeds this.
_ECHOED = 0.25
# Half the width of a 95 % interval in standard errors.
_ERRORS = 1.96


def label_verdict(evidence: LabelEvidence) -> Verdict:
    """Return the verdict on the contamination of labels and on the names of the classes.

    The level is "cannot tell" if one of these holds: the fit has collapsed; other classes have
    absorbed a class; the name of a class is uncertain; neighbours of flagged rows carry the same
    label more often than the fit predicts; the rate depends very strongly on how certain the
    predictor is. It is "weak" if the names of a mutual pair rest on an assumption, if other starts
    explain the labels equally well with other flips, or if the rate depends strongly on how certain
    the predictor is. Otherwise it is "identified".

    Args:
        evidence: Numbers about the fit.

    Example:
        >>> evidence = LabelEvidence(
        ...     contamination=0.2,
        ...     flagged=0.2,
        ...     alarm=None,
        ...     margin=(0.2, 0.2),
        ...     margin_probability=(1.0, 1.0),
        ...     occupancy=(0.5, 0.5),
        ...     band=((0.5, 0.19), (1.0, 0.2), (2.0, 0.21)),
        ...     restarts=(0.0, 0.0),
        ...     pairs=(MutualPair((0, 1), (0.2, 0.2), (0.8, 0.8), False, 0.8),),
        ... )
        >>> for line in label_verdict(evidence).lines(["cat", "dog"]):
        ...     print(line)
        Verdict: weak. It rests in part on an assumption, or another explanation is almost as good.
        The names of the classes cat, dog rest on the assumption that fewer of their labels are
        wrong than correct.
        These explanations compete:
          As the fit reads the labels: 20% of cat are labelled dog, and 20% of dog are labelled
          cat. (20.0% of the rows contaminated)
          The names of cat and dog are exchanged: 80% of cat are labelled dog, and 80% of dog are
          labelled cat. (80.0% of the rows contaminated)
        Verify the true labels of some rows of the classes cat, dog. 2 rows of each pair of classes
        are enough if both confirm the same reading; otherwise, 2 more rows must support one reading
        than the other.
    """
    level: Level = "cannot tell"
    reasons = [*_reasons_for_cannot_tell(evidence)]
    if not reasons:
        reasons = [*_reasons_for_weak(evidence)]
        level = "weak" if reasons else "identified"
    if level == "identified":
        reasons = [*_reasons_for_identified(evidence)]
    if evidence.class_prior is not None:
        reasons.append(class_prior_sentence(evidence.class_prior))
    return Verdict(
        level=level,
        reasons=tuple(reasons),
        explanations=tuple(_explanations(evidence)),
        separates=tuple(_separates(evidence)),
    )


def _reasons_for_cannot_tell(evidence: LabelEvidence) -> Iterator[str]:
    """Yield a sentence for each reason for the level "cannot tell"."""
    if evidence.alarm is not None:
        yield f"The fit has {evidence.alarm}."
    even = 1 / len(evidence.occupancy)
    empty = [c for c, share in enumerate(evidence.occupancy) if share < _EMPTY * even]
    if empty:
        yield (
            f"Almost no row is assigned to the following classes: {_list(empty)}. Other classes "
            "have absorbed their rows."
        )
    unsure = _unsure(evidence)
    if unsure:
        yield (
            "The data cannot tell which class is which among the following classes: "
            f"{_list(unsure)}."
        )
    if evidence.echoed is not None and evidence.echoed > _ECHOED and evidence.flagged > _LITTLE:
        yield (
            "Rows near a flagged row have the label of that row more often than the fit "
            f"predicts, by {100 * evidence.echoed:.0f} percentage points. Either the network fits "
            "less well than a nearest-neighbour rule, or labels are wrong in whole regions. "
            "Try a more flexible network."
        )
    low, high = _rates(evidence)
    if high - low > _OPEN:
        yield (
            "The data cannot tell how many labels are wrong. The contamination rate is between "
            f"{low:.2f} and {high:.2f} if the predictor is made half to twice as certain. "
            "Classes overlap so much that wrong labels and ambiguous rows look alike."
        )


def _reasons_for_weak(evidence: LabelEvidence) -> Iterator[str]:
    """Yield a sentence for each reason for the level "weak"."""
    pairs = _open_pairs(evidence)
    if pairs:
        yield (
            f"The names of the classes {_list(_classes(pairs))} rest on the assumption that fewer "
            "of their labels are wrong than correct."
        )
    apart = [c for c, distance in enumerate(evidence.restarts) if distance > _DISAGREE]
    if apart:
        yield (
            "Fits from other starts explain the labels equally well with other flips of the "
            f"classes {_list(apart)}."
        )
    if _depends_on_sharpness(evidence):
        low, high = _rates(evidence)
        yield (
            f"The contamination rate is between {low:.2f} and {high:.2f} if the predictor is "
            "made half to twice as certain. Part of it may be ambiguity."
        )


def _reasons_for_identified(evidence: LabelEvidence) -> Iterator[str]:
    """Yield sentences that belong to the level "identified"."""
    if evidence.flagged <= _LITTLE:
        yield "At most 1 % of the rows are flagged, so there is little contamination."
    decided = [pair for pair in evidence.pairs if pair.decided]
    if decided:
        yield f"Verified labels confirm the names of the classes {_list(_classes(decided))}."


def _explanations(evidence: LabelEvidence) -> Iterator[Explanation]:
    """Yield the explanation that the fit uses and the ones that compete with it, if there are any.

    Exchanged names come first, then a predictor that is less or more certain.
    """
    pairs = _open_pairs(evidence)
    others = [
        Explanation(
            text=f"The names of {_names(pair)} are exchanged: {_flips(pair, pair.exchanged)}.",
            contamination=pair.exchanged_contamination,
        )
        for pair in pairs
    ]
    if _depends_on_sharpness(evidence):
        ends = (min(evidence.band, key=_rate), max(evidence.band, key=_rate))
        others += [
            Explanation(text=_certainty(sharpness), contamination=rate)
            for sharpness, rate in ends
            if sharpness != 1
        ]
    if not others:
        return
    flips = "; ".join(_flips(pair, pair.rates) for pair in pairs)
    used = f"As the fit reads the labels{f': {flips}' if flips else ''}."
    yield Explanation(text=used, contamination=evidence.contamination)
    yield from others


def _separates(evidence: LabelEvidence) -> Iterator[str]:
    """Yield sentences that say how many verified rows would decide between the explanations."""
    pairs = _open_pairs(evidence)
    if pairs:
        yield (
            f"Verify the true labels of some rows of the classes {_list(_classes(pairs))}. "
            f"{DECIDING} rows of each pair of classes are enough if both confirm the same reading; "
            f"otherwise, {DECIDING} more rows must support one reading than the other."
        )
    unsure = [c for c in _unsure(evidence) if c not in _classes(pairs)]
    if unsure:
        yield f"Verify the true labels of some rows of each of the classes {_list(unsure)}."
    if _depends_on_sharpness(evidence):
        low, high = _rates(evidence)
        yield (
            f"Verify about {_rows_between(low, high)} rows that are chosen at random: so many rows "
            f"distinguish a rate of {low:.2f} from a rate of {high:.2f}."
        )


def _open_pairs(evidence: LabelEvidence) -> list[MutualPair]:
    """Return the mutual pairs that verified labels do not decide."""
    return [pair for pair in evidence.pairs if not pair.decided]


def _unsure(evidence: LabelEvidence) -> list[int]:
    """Return the classes whose names are uncertain and not decided by verified labels."""
    decided = set(_classes(pair for pair in evidence.pairs if pair.decided))
    return [c for c, p in enumerate(evidence.margin_probability) if p < _SURE and c not in decided]


def _depends_on_sharpness(evidence: LabelEvidence) -> bool:
    """Return whether the rate varies strongly if the predictor is half to twice as certain."""
    low, high = _rates(evidence)
    middle = dict(evidence.band).get(1.0, 0.0)
    return high - low > min(_OPEN, max(_BAND[1], _BAND[0] * middle))


def _rates(evidence: LabelEvidence) -> tuple[float, float]:
    """Return the lowest and the highest rate of the band; zeros if it is empty."""
    rates = [rate for _, rate in evidence.band] or [0.0]
    return min(rates), max(rates)


def _rate(entry: tuple[float, float]) -> float:
    """Return the rate of an entry of the band."""
    return entry[1]


def _rows_between(low: float, high: float) -> int:
    """Return how many random rows distinguish two rates with 95 % probability.

    The half widths of the two intervals then add up to the distance of the rates.
    """
    spread = sum(math.sqrt(rate * (1 - rate)) for rate in (low, high))
    return math.ceil((_ERRORS * spread / (high - low)) ** 2)


def _certainty(sharpness: float) -> str:
    """Return an explanation in which the predictor has another sharpness."""
    more, rest = ("more", "wrong") if sharpness > 1 else ("less", "ambiguous")
    return (
        f"The predictor should be {more} certain (sharpness {sharpness:g}), and more of the labels "
        f"that contradict it are {rest}."
    )


def _names(pair: MutualPair) -> str:
    """Return a phrase that names the two classes of a pair."""
    first, second = pair.classes
    return f"{{{first}}} and {{{second}}}"


def _flips(pair: MutualPair, rates: tuple[float, float]) -> str:
    """Return a phrase that states how often the labels of two classes are exchanged."""
    first, second = (f"{{{c}}}" for c in pair.classes)
    one, other = (f"{rate:.0%}" for rate in rates)
    return f"{one} of {first} are labelled {second}, and {other} of {second} are labelled {first}"


def _classes(pairs: Iterable[MutualPair]) -> list[int]:
    """Return the numbers of all classes of some pairs, sorted."""
    return sorted({c for pair in pairs for c in pair.classes})


def _list(classes: Iterable[int]) -> str:
    """Return class numbers in braces, separated by commas."""
    return ", ".join(f"{{{c}}}" for c in classes)
