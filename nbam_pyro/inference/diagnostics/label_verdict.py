"""The verdict on labels: reasons, competing explanations, and what would decide between them."""

import math
from collections.abc import Iterable, Iterator

from nbam_pyro.inference.diagnostics.label_evidence import DECIDING, LabelEvidence, MutualPair
from nbam_pyro.models.priors.class_frequency import class_prior_sentence
from nbam_pyro.outputs.open_share import COMPETES, open_share, unknown_share
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
# The network fits worse than neighbours do if `LabelEvidence.echoed` exceeds this.
_ECHOED = 0.25
# A pair with exchanged names is not counted if more of the labels of one class would be wrong.
_PLAUSIBLE = 0.85
# Explanation in which no label is wrong.
_ALL_RIGHT = "No label is wrong: all contradictions are mistakes of the network."
# Half the width of a 95 % interval in standard errors.
_ERRORS = 1.96


def label_verdict(evidence: LabelEvidence) -> Verdict:
    """Return the verdict on the contamination of labels and on the names of the classes.

    The level is "cannot tell" if one of these holds: the fit has collapsed; other classes have
    absorbed a class; the name of a class is uncertain; neighbours of flagged rows carry the same
    label more often than the fit predicts; the interval of the share of wrong labels is wider than
    .3. It is "weak" if the names of a mutual pair rest on an assumption, if other starts explain
    the labels equally well with other flips, if this interval is wider than .12, or if it is open
    whether any label is wrong. Otherwise it is "identified". A pair is not counted if, with
    exchanged names, more than 85 % of the labels of a class would be wrong.

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
        ...     share=(0.19, 0.21),
        ...     all_right=0.0,
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
    if evidence.share is not None and unknown_share(*evidence.share):
        low, high = evidence.share
        yield (
            f"The data cannot tell how many labels are wrong: between {low:.1%} and {high:.1%}, "
            "depending on how far the network can be trusted where it contradicts labels."
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
    if evidence.share is not None and _depends_on_trust(evidence):
        low, high = evidence.share
        yield (
            f"The share of wrong labels lies between {low:.1%} and {high:.1%}, depending on how "
            "far the network can be trusted where it contradicts labels."
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

    Exchanged names come first, then the explanation that no label is wrong.
    """
    pairs = _open_pairs(evidence)
    others = [
        Explanation(
            text=f"The names of {_names(pair)} are exchanged: {_flips(pair, pair.exchanged)}.",
            contamination=pair.exchanged_contamination,
        )
        for pair in pairs
    ]
    share, weight = evidence.contamination, None
    if _depends_on_trust(evidence) and evidence.all_right > COMPETES:
        right = evidence.all_right
        others.append(Explanation(text=_ALL_RIGHT, contamination=0.0, weight=right))
        share, weight = min(1.0, share / (1 - right)), 1 - right
    if not others:
        return
    flips = "; ".join(_flips(pair, pair.rates) for pair in pairs)
    used = f"As the fit reads the labels{f': {flips}' if flips else ''}."
    yield Explanation(text=used, contamination=share, weight=None if pairs else weight)
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
    if evidence.share is not None and _depends_on_trust(evidence):
        low, high = evidence.share
        yield (
            f"Verify about {_rows_between(low, high)} rows that are chosen at random: so many rows "
            f"distinguish a share of {low:.1%} from a share of {high:.1%}, and they determine how "
            "far the network can be trusted."
        )


def _open_pairs(evidence: LabelEvidence) -> list[MutualPair]:
    """Return the mutual pairs that verified labels do not decide, and that may be exchanged."""
    return [
        pair for pair in evidence.pairs if not pair.decided and max(pair.exchanged) <= _PLAUSIBLE
    ]


def _unsure(evidence: LabelEvidence) -> list[int]:
    """Return the classes whose names are uncertain and not decided by verified labels."""
    decided = set(_classes(pair for pair in evidence.pairs if pair.decided))
    return [c for c, p in enumerate(evidence.margin_probability) if p < _SURE and c not in decided]


def _depends_on_trust(evidence: LabelEvidence) -> bool:
    """Return whether the share of wrong labels depends strongly on how far f can be trusted."""
    if evidence.share is None:
        return False
    right, contamination = evidence.all_right, evidence.contamination
    return open_share(*evidence.share, all_right=right, share=contamination)


def _rows_between(low: float, high: float) -> int:
    """Return how many random rows distinguish two rates with 95 % probability.

    The half widths of the two intervals then add up to the distance of the rates.
    """
    spread = sum(math.sqrt(rate * (1 - rate)) for rate in (low, high))
    return math.ceil((_ERRORS * spread / (high - low)) ** 2)


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
