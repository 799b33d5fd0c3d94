"""The verdict on scores, and the note that says on what the estimate rests."""

from collections.abc import Iterator

import numpy as np

from nbam_pyro.outputs.explanation import Explanation, Level
from nbam_pyro.outputs.scores.fitting import ScoresPosterior
from nbam_pyro.outputs.verdict import Verdict
from nbam_pyro.outputs.wording.parts import (
    CLEAR,
    EVEN,
    FEWEST,
    GROUP,
    NARROW,
    TIED,
    few_clause,
    group_clause,
    likelier_first,
    tied_clause,
)
from nbam_pyro.outputs.wording.sentences import percent, sentence, share_clause

__all__ = ["scores_note", "scores_verdict"]

# The parts are separate if at most this part of the anomalies could be normal rows.
_SEPARATE = 0.15
# Widest interval of a share that is identified or weak.
_WIDE = 0.2
# Numbers of rows to verify: at random, and among the highest scores.
_RANDOM, _HIGHEST = 50, 20


def scores_verdict(
    found: ScoresPosterior,
    *,
    rows: int,
    verified: int,
    different: int,
    tied: float,
    interval: tuple[float, float],
    probability: float,
) -> Verdict:
    """Return the verdict on the contamination of scored rows.

    Args:
        found: Posterior of the contaminated shares.
        rows: Number of rows.
        verified: Number of verified rows.
        different: Number of different scores.
        tied: Share of rows that have the most frequent score.
        interval: Interval of the share of anomalies among these rows.
        probability: Probability that this interval contains.
    """
    level = _level(found, verified, different, tied, interval)
    share = share_clause(interval, "rows are anomalies", probability=probability)
    rests = (
        f"the estimate rests on {verified} verified row{'s' * (verified > 1)} and the shape of the "
        "scores"
        if verified
        else "the estimate rests on the shape of the scores alone: no verified row shows how many "
        "anomalies have the scores of normal rows"
    )
    if found.second_part > EVEN:
        rests += (
            f"{', and' if verified else '; it'} takes the second part of the scores as anomalies, "
            "although this part may be a second group of normal rows"
        )
    if level == "identified":
        return Verdict(level=level, sure=sentence(share), assumed=sentence(rests))
    doubts = [*_doubts(found, different, tied)]
    shown = doubts if doubts and level == "cannot tell" else [share, *doubts]
    return Verdict(
        level=level,
        sure=sentence(*shown),
        assumed=sentence(rests),
        decides=_decides(rows, verified),
        explanations=_explanations(found, rows),
    )


def _explanations(found: ScoresPosterior, rows: int) -> tuple[Explanation, ...]:
    """Return the competing explanations, the likelier of one and two parts first."""
    bulk = Explanation(
        text="The scores have one part with a long tail; visible anomalies are absent.",
        contamination=found.share_bulk,
        weight=(1 - found.second_part) * (1 - found.lone.probability),
    )
    mixed = Explanation(
        text="The scores have a second part above the bulk. This part is the anomalies.",
        contamination=found.share_mixed,
        weight=found.second_part,
    )
    if not found.lone.count:
        return likelier_first(mixed, bulk)
    alone = Explanation(
        text="The scores have one part. The few scores far above all others are the anomalies.",
        contamination=found.share_bulk + found.lone.count / rows,
        weight=(1 - found.second_part) * found.lone.probability,
    )
    return tuple(sorted((mixed, alone, bulk), key=lambda one: -(one.weight or 0.0)))


def _decides(rows: int, verified: int) -> str:
    """Return which verified rows would decide, never more than the table has."""
    rest = rows - verified
    if not rest:
        return ""
    if rest > _RANDOM + _HIGHEST:
        return (
            f"About {_RANDOM} verified rows, drawn at random, and {_HIGHEST} more among the "
            "highest scores would show how many rows are anomalies."
        )
    what = "1 row that is" if rest == 1 else f"{rest} rows that are"
    return f"Verify the {what} not verified yet: this would show how many rows are anomalies."


def _lone_clause(found: ScoresPosterior) -> str:
    """Return a clause about rows that score far above all others."""
    count, r = found.lone.count, found.lone_responsibility
    subject, they, an = (
        ("the row with the highest score lies", "it is", "an anomaly")
        if count == 1
        else (f"the {count} rows with the highest scores lie", "they are", "anomalies")
    )
    if r > EVEN:
        return (
            f"{subject} far above all others, and {they} more probably {an} ({percent(r, 0)}) "
            "than the end of a long tail of normal rows"
        )
    return (
        f"{subject} far above all others, and the scores cannot tell whether {they} {an} "
        f"({percent(r, 0)}) or the end of a long tail of normal rows"
    )


def _level(
    found: ScoresPosterior,
    verified: int,
    different: int,
    tied: float,
    interval: tuple[float, float],
) -> Level:
    width = interval[1] - interval[0]
    shaped = different >= FEWEST and tied <= TIED
    clear = found.second_part >= CLEAR and found.overlap <= _SEPARATE and shaped
    clear = clear and found.share_mixed <= GROUP
    if clear and width <= _WIDE:
        return "identified"
    if verified:
        return "identified" if width <= NARROW else "weak" if width <= _WIDE else "cannot tell"
    likely = found.second_part > EVEN or (found.lone.count and found.lone_responsibility > EVEN)
    return "weak" if likely and different >= FEWEST else "cannot tell"


def _doubts(found: ScoresPosterior, different: int, tied: float) -> Iterator[str]:
    """Yield clauses about what the shape of the scores leaves open."""
    if different < FEWEST:
        yield few_clause(different, "different scores", "scores")
    elif found.lone.count:
        yield _lone_clause(found)
        if found.second_part <= EVEN:
            yield "the other scores have no clear second part"
    elif found.second_part <= EVEN:
        yield (
            "the scores have no clear second part, and anomalies, if there are any, have the "
            "scores of normal rows or lie in their tail"
        )
    if different >= FEWEST and EVEN < found.second_part < CLEAR:
        yield (
            f"with a probability of {percent(1 - found.second_part, 0)} the second part of the "
            "scores is the tail of normal rows"
        )
    elif different >= FEWEST and found.second_part >= CLEAR and found.overlap > _SEPARATE:
        yield "the two parts of the scores overlap"
    if found.second_part > EVEN and found.share_mixed > GROUP:
        yield group_clause("second part", "normal rows")
    if tied > TIED:
        yield tied_clause(tied, "score")


def scores_note(*, verified: np.ndarray) -> str:
    """Return sentences about what the intervals contain and what they assume to be known.

    Args:
        verified: Codes of verified rows, (N,): 1, 0, or -1 where nothing is verified.
    """
    chosen = "Verified rows may be chosen by their scores, but by nothing else. "
    return (
        f"{chosen if (verified >= 0).any() else ''}Intervals contain the uncertainty about the "
        "shape of normal and of anomalous scores, and about whether there is a second part. They "
        "take as given that a higher score never makes an anomaly less likely, and that anomalies "
        "are at most half of the rows. The number of anomalies that score like normal rows has a "
        "prior with a mean of about 1 % of the rows, which only verified rows change. Scores "
        "should be out of sample: detectors give lower scores to rows that they were trained on."
    )
