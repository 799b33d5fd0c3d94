"""The verdict on labels, given predicted probabilities."""

from collections.abc import Iterator

import numpy as np

from nbam_pyro.models.priors.class_frequency import class_prior_sentence
from nbam_pyro.outputs.label_readings import Readings, unskilled
from nbam_pyro.outputs.open_share import COMPETES, MAJORITY, open_share, unknown_share
from nbam_pyro.outputs.verdict import Explanation, Level, Verdict
from nbam_pyro.outputs.wording.labels import (
    all_right,
    every_class_clause,
    look_alike_clause,
    look_clause,
    majority_clause,
    open_error_clause,
    pair_list,
    random_rows_clause,
    seen_clause,
    trust_clause,
    unknown_clause,
)
from nbam_pyro.outputs.wording.sentences import sentence, share_clause, verified_clause

__all__ = ["label_verdict"]

# Names of two classes are in doubt if this probability or more says that they are exchanged.
_EXCHANGED = 0.05
# A classifier that disagrees with at most this share of the labels may have been trained on them.
_SEEN = 0.01
# What predicts the labels.
_CLASSIFIER = "classifier"


def label_verdict(
    readings: Readings,
    shares: np.ndarray,
    *,
    given: bool,
    class_prior: float | None,
    probability: float,
) -> Verdict:
    """Return the verdict.

    Args:
        readings: Explanations and their weights.
        shares: Draws of the contaminated share, (S,).
        given: Whether the sharpness was given.
        class_prior: Pseudo-count of each class, or None.
        probability: Posterior probability that the interval of the contaminated share contains.
    """
    tail = (1 - probability) / 2
    low, high = np.quantile(shares, [tail, 1 - tail])
    interval = float(low), float(high)
    pairs = _exchanged(readings)
    problems = [*_problems(readings, pairs, interval, probability)]
    is_open = open_share(low, high, all_right=readings.all_right, share=float(shares.mean()))
    level: Level = "cannot tell" if problems else "weak" if is_open else "identified"
    taken = [*_taken_as_given(readings, given, class_prior)]
    found = share_clause(interval, "labels are wrong", probability=probability)
    if level == "identified":
        assumed = sentence(*taken, look_alike_clause())
        return Verdict(level=level, sure=sentence(found), assumed=assumed)
    return Verdict(
        level=level,
        sure=sentence(*(problems or [found])),
        assumed=sentence(
            trust_clause(
                _CLASSIFIER, right=readings.all_right, disagreement=readings.data.disagreement
            )
            if is_open
            else "",
            *taken,
        ),
        decides=sentence(
            *_decides(readings, [*pairs], interval, probability=probability, is_open=is_open)
        ),
        explanations=_explanations(readings, shares, pairs),
    )


def _problems(
    readings: Readings,
    pairs: dict[tuple[int, int], tuple[float, float]],
    interval: tuple[float, float],
    probability: float,
) -> Iterator[str]:
    """Yield a clause for each reason for the level "cannot tell"."""
    if unskilled(readings.data):
        yield (
            "the classifier agrees with the labels no more often than the most frequent class does"
        )
    if pairs:
        yield (
            f"most labels of {pair_list([*pairs])} may be wrong, because their names may be "
            "exchanged"
        )
    if _open_error(readings):
        yield open_error_clause()
    if unknown_share(*interval):
        yield unknown_clause(interval, probability=probability)
    elif interval[1] >= MAJORITY:
        yield majority_clause(interval[1])


def _decides(
    readings: Readings,
    pairs: list[tuple[int, int]],
    interval: tuple[float, float],
    *,
    probability: float,
    is_open: bool,
) -> Iterator[str]:
    """Yield clauses that say what would decide."""
    if unskilled(readings.data):
        yield "use a classifier that predicts the labels better"
    if pairs:
        yield f"verify the true labels of 20 to 100 rows of {pair_list(pairs)}"
    if is_open:
        yield random_rows_clause(interval, len(readings.data.labels), probability=probability)
    if interval[1] >= MAJORITY:
        yield every_class_clause()
    if _open_error(readings):
        yield look_clause(_CLASSIFIER)


def _open_error(readings: Readings) -> bool:
    return readings.clean_error is not None and readings.clean_error.open


def _taken_as_given(readings: Readings, given: bool, class_prior: float | None) -> Iterator[str]:
    """Yield clauses about assumptions that do not change the level."""
    if readings.data.disagreement <= _SEEN:
        yield seen_clause(readings.data.disagreement)
    if given:
        yield f"sharpness {readings.sharpness[0]:g} was given and is taken as known"
    if class_prior is not None:
        yield class_prior_sentence(class_prior)
    true = readings.data.true_labels
    if true is not None:
        yield verified_clause(int((true >= 0).sum()), len(true))


def _exchanged(readings: Readings) -> dict[tuple[int, int], tuple[float, float]]:
    """Return pairs of classes whose labels are mostly wrong, each with the label of the other.

    Returns:
        For each pair, most probable first: the probability that the names are exchanged, and the
        share of wrong labels in this case.
    """
    k = readings.data.log_p.shape[1]
    doubt, share = np.zeros((k, k)), np.zeros((k, k))
    for weight, one in zip(readings.weight, readings.transitions, strict=True):
        joint = one.counts.numpy()
        own = np.diagonal(joint)
        exchanged = weight * (own[:, None] + own < joint + joint.T)
        doubt += exchanged
        share += one.share * exchanged
    pairs = np.argwhere(np.triu(doubt, 1) > _EXCHANGED)
    found = {(int(c), int(d)): (float(doubt[c, d]), float(share[c, d])) for c, d in pairs}
    ranked = sorted(found.items(), key=lambda one: -one[1][0])
    return {pair: (min(1.0, p), min(1.0, mean / p)) for pair, (p, mean) in ranked}


def _explanations(
    readings: Readings,
    shares: np.ndarray,
    pairs: dict[tuple[int, int], tuple[float, float]],
) -> tuple[Explanation, ...]:
    """Return the competing explanations.

    Labels are wrong, or no label is wrong, the more probable one first. The first of them contains
    the explanations with exchanged names, which follow.
    """
    right = readings.all_right
    if right < COMPETES and not pairs:
        return ()
    wrong = Explanation(
        text="Labels are wrong where the classifier is certain of another class.",
        contamination=min(1.0, float(shares.mean()) / (1 - right)),
        weight=1 - right,
    )
    both = [wrong, all_right(_CLASSIFIER, right)] if right >= COMPETES else [wrong]
    return (
        *sorted(both, key=lambda one: -(one.weight or 0)),
        *(
            Explanation(
                text=f"The names of {pair_list([pair])} are exchanged.",
                contamination=share,
                weight=probability,
            )
            for pair, (probability, share) in pairs.items()
        ),
    )
