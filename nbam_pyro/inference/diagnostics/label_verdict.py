"""The verdict on labels: what is sure, what rests on an assumption, and what would decide."""

from collections.abc import Iterator

from nbam_pyro.inference.diagnostics.collapse import COLLAPSE_ADVICE, collapse_clause
from nbam_pyro.inference.diagnostics.label_evidence import DECIDING, LabelEvidence, MutualPair
from nbam_pyro.models.priors.class_frequency import class_prior_sentence
from nbam_pyro.outputs.explanation import Explanation, Level
from nbam_pyro.outputs.open_share import COMPETES, MAJORITY, open_share, unknown_share
from nbam_pyro.outputs.verdict import Verdict
from nbam_pyro.outputs.wording.labels import (
    all_right,
    class_list,
    difficulty_clause,
    every_class_clause,
    look_alike_clause,
    look_clause,
    majority_clause,
    names_clause,
    open_error_clause,
    random_rows_clause,
    trust_clause,
    unknown_clause,
)
from nbam_pyro.outputs.wording.sentences import about, sentence, share_clause

__all__ = ["label_verdict"]

# Up to this share of flagged rows there is little contamination.
_LITTLE = 0.01
# Hesitation is said to matter if it does with at least this probability.
_SURE = 0.95
# The network fits worse than neighbours do if `LabelEvidence.echoed` exceeds this.
_ECHOED = 0.25
# The share of wrong labels at the other difficulty is stated if it differs by more than this part.
_NOTABLE = 0.1
_EVEN = 0.5
# What predicts the labels of a fit.
_NETWORK = "network"


def label_verdict(evidence: LabelEvidence) -> Verdict:
    """Return the verdict on the contamination of labels and on the names of the classes.

    The level is "cannot tell" if one of these holds: the fit has collapsed; other classes have
    absorbed a class; the name of a class is uncertain; neighbours of flagged rows carry the
    same label more often than the fit predicts; the interval of the share of wrong labels is
    wider than .3 or reaches one half. It is "weak" if the names of a mutual pair rest on an
    assumption, if other starts explain the labels equally well with other flips, if this
    interval is wider than .12, or if it is open whether any label is wrong. Otherwise it is
    "identified". A pair is not counted if, with exchanged names, more than 85 % of the labels
    of a class would be wrong.

    Args:
        evidence: Numbers about the fit.

    Example:
        >>> evidence = LabelEvidence(
        ...     rows=1000,
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
        >>> print(label_verdict(evidence).named(["cat", "dog"]))
        Verdict: weak
        Between 19.0% and 21.0% of the labels are wrong (90% interval) if no two classes have
        exchanged their names.
        The names of the classes cat and dog rest on the assumption that fewer of their labels are
        wrong than correct: otherwise 80.0% of all labels are wrong.
        Verify the true labels of at least 2 rows of this pair of classes, until the rows that
        confirm the names outnumber the others by 2, or the reverse.
    """
    problems = [*_problems(evidence)]
    assumed = [*_assumed(evidence)]
    level: Level = "cannot tell" if problems else "weak" if assumed else "identified"
    unseen = [look_alike_clause()] if level == "identified" else []
    given = [*_taken_as_given(evidence)]
    explanations = tuple(_explanations(evidence))
    if evidence.alarm is not None:
        # Nothing else in a collapsed fit has a meaning.
        return Verdict(
            level=level,
            sure=sentence(*problems[:1]),
            assumed=sentence(*given),
            decides=sentence(COLLAPSE_ADVICE),
            explanations=explanations,
        )
    return Verdict(
        level=level,
        sure=sentence(*(problems or _found(evidence, level))),
        assumed=sentence(*assumed, *given, *unseen),
        decides=sentence(*_decides(evidence)),
        explanations=explanations,
    )


def _problems(evidence: LabelEvidence) -> Iterator[str]:
    """Yield a clause for each reason for the level "cannot tell"."""
    if evidence.alarm is not None:
        yield collapse_clause(evidence.alarm)
    empty = evidence.empty
    if empty:
        yield (
            f"almost no row is assigned to {class_list(empty)}, because other classes have "
            "absorbed their rows"
        )
    unsure = [c for c in evidence.unsure if c not in empty]
    if len(unsure) > 1:
        yield f"the data cannot tell which class is which among {class_list(unsure)}"
    elif unsure:
        yield f"the data cannot tell which rows belong to {class_list(unsure)}"
    if _echoes(evidence):
        yield (
            "rows near a flagged row have the label of that row more often than the fit predicts, "
            f"by {100 * (evidence.echoed or 0):.0f} percentage points"
        )
    if evidence.open_error:
        yield open_error_clause()
    if evidence.share is not None and unknown_share(*evidence.share):
        yield unknown_clause(evidence.share)
    elif evidence.share is not None and evidence.share[1] >= MAJORITY:
        yield majority_clause(evidence.share[1])


def _assumed(evidence: LabelEvidence) -> Iterator[str]:
    """Yield a clause for each reason for the level "weak"."""
    pairs = evidence.open_pairs
    if pairs:
        yield names_clause(
            [pair.classes for pair in pairs],
            exchanged=pairs[0].exchanged_contamination if len(pairs) == 1 else None,
        )
    apart = evidence.apart
    if apart:
        yield (
            f"the flips of {class_list(apart)} depend on the start of the fit: other starts "
            "explain the labels equally well with other flips"
        )
    if _depends_on_trust(evidence):
        yield trust_clause(_NETWORK, right=evidence.all_right, disagreement=evidence.disagreement)


def _taken_as_given(evidence: LabelEvidence) -> Iterator[str]:
    """Yield clauses about assumptions that do not change the level."""
    if evidence.share is None:
        yield (
            "the network was not compared with labels of rows that it was not trained on, and is "
            "taken as right where it contradicts labels"
        )
    if evidence.class_prior is not None:
        yield class_prior_sentence(evidence.class_prior)
    if evidence.other_contamination is not None and _differs(evidence):
        yield difficulty_clause(evidence.other_contamination, hesitant=evidence.hesitant > _EVEN)


def _found(evidence: LabelEvidence, level: Level) -> Iterator[str]:
    """Yield clauses about what is sure if the level is not "cannot tell"."""
    names = " if no two classes have exchanged their names" if evidence.open_pairs else ""
    if evidence.share is None:
        share = f"{about(evidence.contamination)} of the labels are wrong"
    else:
        share = share_clause(evidence.share, "labels are wrong")
    yield share + names
    if level == "identified" and evidence.flagged <= _LITTLE:
        yield "at most 1% of the rows are flagged, so there is little contamination"
    if evidence.hesitant > _SURE and evidence.other_contamination is None:
        yield "labels are wrong more often where the network hesitates"
    decided = sorted({c for pair in evidence.pairs if pair.decided for c in pair.classes})
    if decided:
        yield f"verified labels confirm the names of {class_list(decided)}"


def _explanations(evidence: LabelEvidence) -> Iterator[Explanation]:
    """Yield the explanation that the fit uses and the ones that compete with it, if there are any.

    Exchanged names come first, then the explanation that no label is wrong.
    """
    pairs = evidence.open_pairs
    others = [_exchanged(pair) for pair in pairs]
    share, weight = evidence.contamination, None
    if _right_competes(evidence):
        right = evidence.all_right
        others.append(all_right(_NETWORK, right))
        share, weight = min(1.0, share / (1 - right)), 1 - right
    if not others:
        return
    yield Explanation(
        text="As the fit reads the labels.",
        contamination=share,
        weight=None if pairs else weight,
    )
    yield from others


def _exchanged(pair: MutualPair) -> Explanation:
    """Return the explanation that two classes have exchanged their names, with both readings."""
    first, second = (f"{{{c}}}" for c in pair.classes)
    (one, other), (read, read_other) = (
        [f"{rate:.0%}" for rate in rates] for rates in (pair.exchanged, pair.rates)
    )
    return Explanation(
        text=f"The names of {first} and {second} are exchanged: {one} of {first} are labelled "
        f"{second} (instead of {read}), and {other} of {second} are labelled {first} (instead of "
        f"{read_other}).",
        contamination=pair.exchanged_contamination,
    )


def _decides(evidence: LabelEvidence) -> Iterator[str]:
    """Yield clauses that say which verified rows, and how many of them, would decide."""
    pairs = evidence.open_pairs
    if pairs:
        which = "this pair of classes" if len(pairs) == 1 else "each of these pairs of classes"
        yield (
            f"verify the true labels of at least {DECIDING} rows of {which}, until the rows that "
            f"confirm the names outnumber the others by {DECIDING}, or the reverse"
        )
    if evidence.open_classes:
        yield f"verify the true labels of 20 to 100 rows of {class_list(evidence.open_classes)}"
    if evidence.share is not None and _depends_on_trust(evidence):
        yield random_rows_clause(evidence.share, evidence.rows)
    if evidence.share is not None and evidence.share[1] >= MAJORITY:
        yield every_class_clause()
    if evidence.open_error:
        yield look_clause(_NETWORK)
    if _echoes(evidence):
        yield (
            "use a more flexible network, or LabelFlip(..., locality=1.0) if labels may be wrong "
            "in whole regions"
        )


def _echoes(evidence: LabelEvidence) -> bool:
    """Return whether rows near flagged rows have the flagged label too often."""
    return evidence.echoed is not None and evidence.echoed > _ECHOED and evidence.flagged > _LITTLE


def _depends_on_trust(evidence: LabelEvidence) -> bool:
    """Return whether the share of wrong labels depends strongly on how far f can be trusted."""
    if evidence.share is None:
        return False
    right, contamination = evidence.all_right, evidence.contamination
    return open_share(*evidence.share, all_right=right, share=contamination)


def _differs(evidence: LabelEvidence) -> bool:
    """Return whether the share depends on whether people err where the network hesitates."""
    share, other = evidence.contamination, evidence.other_contamination or 0.0
    return abs(other - share) > max(_LITTLE, _NOTABLE * share)


def _right_competes(evidence: LabelEvidence) -> bool:
    """Return whether the explanation that no label is wrong is mentioned."""
    return _depends_on_trust(evidence) and evidence.all_right > COMPETES
