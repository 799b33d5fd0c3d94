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


def scores_verdict(
    found: ScoresPosterior,
    *,
    verified: int,
    different: int,
    tied: float,
    interval: tuple[float, float],
    probability: float,
) -> Verdict:
    """Return the verdict on the contamination of scored rows.

    Args:
        found: Posterior of the contaminated shares.
        verified: Number of verified rows.
        different: Number of different scores.
        tied: Share of rows that have the most frequent score.
        interval: Interval of the share of anomalies among these rows.
        probability: Probability that this interval contains.
    """
    level = _level(found, verified, different, tied, interval)
    bulk = Explanation(
        text="The scores have one part with a long tail; visible anomalies are absent.",
        contamination=found.share_bulk,
        weight=1 - found.second_part,
    )
    mixed = Explanation(
        text="The scores have a second part above the bulk. This part is the anomalies.",
        contamination=found.share_mixed,
        weight=found.second_part,
    )
    share = share_clause(interval, "rows are anomalies", probability=probability)
    rests = (
        f"the estimate rests on {verified} verified rows and the shape of the scores"
        if verified
        else "the estimate rests on the shape of the scores alone: no verified row shows how many "
        "anomalies have the scores of normal rows"
    )
    if level == "identified":
        return Verdict(level=level, sure=sentence(share), assumed=sentence(rests))
    doubts = [*_doubts(found, different, tied)]
    shown = doubts if doubts and level == "cannot tell" else [share, *doubts]
    return Verdict(
        level=level,
        sure=sentence(*shown),
        assumed=sentence(rests),
        decides=(
            "About 50 verified rows, drawn at random, and 20 more among the highest scores would "
            "show how many rows are anomalies."
        ),
        explanations=likelier_first(mixed, bulk),
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
    return "weak" if found.second_part > EVEN and different >= FEWEST else "cannot tell"


def _doubts(found: ScoresPosterior, different: int, tied: float) -> Iterator[str]:
    """Yield clauses about what the shape of the scores leaves open."""
    if different < FEWEST:
        yield few_clause(different, "different scores", "scores")
    elif found.second_part <= EVEN:
        yield (
            "the scores have no clear second part, and anomalies, if there are any, have the "
            "scores of normal rows"
        )
    elif found.second_part < CLEAR:
        yield (
            f"with a probability of {percent(1 - found.second_part, 0)} the second part of the "
            "scores is the tail of normal rows"
        )
    elif found.overlap > _SEPARATE:
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
