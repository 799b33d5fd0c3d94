"""The verdict on scores, and the note that says on what the estimate rests."""

import numpy as np

from nbam_pyro.outputs.scores.fitting import ScoresPosterior
from nbam_pyro.outputs.verdict import Explanation, Level, Verdict

__all__ = ["scores_note", "scores_verdict"]

# Second parts with at least this probability are clear; below one half there is none.
_CLEAR, _EVEN = 0.95, 0.5
# The parts are separate if at most this part of the anomalies could be normal rows.
_SEPARATE = 0.15
# Widths of an interval of the share with which verified rows identify it, or nearly.
_NARROW, _WIDE = 0.06, 0.2
# A second part with more than this share of the rows may be a second group of normal rows.
_GROUP = 0.3
# With more than this share of equal scores, normal rows have no shape to compare with.
_TIED = 0.2
_FEW = 20
"""With fewer different scores their distribution cannot be estimated."""


def scores_verdict(
    found: ScoresPosterior,
    *,
    verified: int,
    different: int,
    tied: float,
    interval: tuple[float, float],
) -> Verdict:
    """Return the verdict on the contamination of scored rows.

    Args:
        found: Posterior of the contaminated shares.
        verified: Number of verified rows.
        different: Number of different scores.
        tied: Share of rows that have the most frequent score.
        interval: Interval of the share of anomalies among these rows.
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
    pair = (mixed, bulk) if found.second_part > _EVEN else (bulk, mixed)
    return Verdict(
        level=level,
        reasons=_reasons(found, verified, different, tied, level),
        explanations=() if level == "identified" else pair,
        separates=()
        if level == "identified"
        else (
            "About 50 verified rows, drawn at random, and 20 more among the highest scores would "
            "show how many rows are anomalies.",
        ),
    )


def _level(
    found: ScoresPosterior,
    verified: int,
    different: int,
    tied: float,
    interval: tuple[float, float],
) -> Level:
    width = interval[1] - interval[0]
    shaped = different >= _FEW and tied <= _TIED
    clear = found.second_part >= _CLEAR and found.overlap <= _SEPARATE and shaped
    clear = clear and found.share_mixed <= _GROUP
    if clear and width <= _WIDE:
        return "identified"
    if verified:
        return "identified" if width <= _NARROW else "weak" if width <= _WIDE else "cannot tell"
    return "weak" if found.second_part > _EVEN and different >= _FEW else "cannot tell"


def _reasons(
    found: ScoresPosterior, verified: int, different: int, tied: float, level: Level
) -> tuple[str, ...]:
    told = []
    if verified:
        told.append(f"The estimate rests on {verified} verified rows and the shape of the scores.")
    if different < _FEW:
        told.append(
            f"There are only {different} different scores, too few to estimate their distribution."
        )
    elif found.second_part <= _EVEN:
        told.append(
            "The scores have no clear second part. Anomalies, if there are any, have the scores of "
            "normal rows."
        )
    elif found.second_part < _CLEAR:
        told.append("The second part of the scores could also be the tail of normal rows.")
    elif found.overlap > _SEPARATE and level != "identified":
        told.append("The two parts of the scores overlap.")
    if found.second_part > _EVEN and found.share_mixed > _GROUP and level != "identified":
        told.append("The second part is so large that it may be a second group of normal rows.")
    if tied > _TIED and level != "identified":
        told.append(
            f"{tied:.0%} of the rows have the same score, so the shape of the scores is unclear."
        )
    if not verified:
        told.append("No verified row shows how many anomalies have the scores of normal rows.")
    return tuple(told)


def scores_note(*, verified: np.ndarray) -> str:
    """Return sentences about what the intervals contain and what they assume to be known.

    Args:
        verified: Codes of verified rows, (N,): 1, 0, or -1 where nothing is verified.
    """
    known = int((verified >= 0).sum())
    rests = (
        f"The estimate rests on {known} verified rows and on the shape of the scores."
        if known
        else "The estimate rests on the shape of the scores alone."
    )
    chosen = " Verified rows may be chosen by their scores, but by nothing else." if known else ""
    return (
        f"{rests}{chosen} Intervals contain the uncertainty about the shape of normal and of "
        "anomalous scores, and about whether there is a second part. They take as given that a "
        "higher score never makes an anomaly less likely, and that anomalies are at most half of "
        "the rows. The number of anomalies that score like normal rows has a prior with a mean of "
        "about 1 % of the rows, which only verified rows change. Scores should be out of sample: "
        "detectors give lower scores to rows that they were trained on."
    )
