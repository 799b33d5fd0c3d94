"""The verdict of a fit whose posterior has several modes: which explanations compete."""

from collections.abc import Callable, Sequence

import numpy as np

from nbam_pyro.inference.variational.peak import Peak
from nbam_pyro.outputs.explanation import Explanation, Level
from nbam_pyro.outputs.verdict import Verdict
from nbam_pyro.outputs.wording.sentences import percent, rows_are, sentence

__all__ = ["different", "modes_verdict"]

# Two explanations differ if they disagree about more rows than this, or this share of the rows.
_ROWS, _SHARE = 1.0, 0.03
# An explanation competes if its evidence is within this many nats of the best. Priors other than
# the default ones change the evidence by several nats.
_CLOSE = 8.0
# The data cannot tell if the other explanations together have this weight.
_OPEN = 0.3
# From this share, clean and contaminated rows may have been exchanged.
_HALF = 0.5
# From this factor on, the rows in doubt change the clean means.
_WIDER = 1.2
# At most this many explanations are listed.
_LISTED = 4


def modes_verdict(
    peaks: Sequence[Peak], *, most: float = 0.0, widening: Callable[[], float] | None = None
) -> Verdict:
    """Return the verdict of a fit from the modes of its posterior.

    Args:
        peaks: All modes that were found.
        most: Upper end of the 90 % interval of the contaminated share. If it reaches one half,
            clean and contaminated rows may have been exchanged.
        widening: Function that returns the factor by which unknown switches widen the posterior of
            the clean means. If it is clearly above 1, the clean means depend on rows in doubt. It
            is called only if nothing else makes the level weak. None if it is not known.

    Example:
        >>> one = Peak(0.0, np.array([0.0, 0.0, 1.0, 1.0]))
        >>> other = Peak(-1.0, np.array([1.0, 1.0, 0.0, 0.0]))
        >>> modes_verdict([one]).level, modes_verdict([one, other]).level
        ('identified', 'weak')
    """
    ranked = sorted(peaks, key=lambda peak: -peak.log_evidence)
    groups: list[list[Peak]] = []
    for peak in ranked:
        if ranked[0].log_evidence - peak.log_evidence > _CLOSE:
            break
        for group in groups:
            if not different(group[0].responsibility, peak.responsibility):
                group.append(peak)
                break
        else:
            groups.append([peak])
    evidence = np.array([_total(group) for group in groups])
    weights = np.exp(evidence - np.logaddexp.reduce(evidence))
    if len(groups) == 1:
        return _only(ranked[0].responsibility, most, widening)
    order = np.argsort(-weights)[:_LISTED]
    level: Level = "cannot tell" if 1 - weights.max() > _OPEN else "weak"
    best, rival = (groups[number][0].responsibility for number in order[:2])
    return Verdict(
        level=level,
        sure=_shared([group[0].responsibility for group in groups]),
        assumed=(
            f"The first of {len(groups)} explanations has a probability of "
            f"{percent(float(weights.max()), 0)}, which rests on the priors: other priors could "
            "change the order of the explanations."
        ),
        explanations=tuple(
            Explanation(
                text=_text(groups[number][0].responsibility, best),
                contamination=float(groups[number][0].responsibility.mean()),
                weight=float(weights[number]),
            )
            for number in order
        ),
        decides=(
            f"Verify whether {_rows_to_verify(best, rival)} right or wrong, because the first two "
            "explanations disagree about this."
        ),
    )


def _only(responsibility: np.ndarray, most: float, widening: Callable[[], float] | None) -> Verdict:
    """Return the verdict if no other explanation competes."""
    found = _text(responsibility, responsibility)
    if most >= _HALF:
        rows = _rows_to_verify(responsibility, np.zeros_like(responsibility))
        return Verdict(
            level="weak",
            sure=found,
            assumed=(
                "It is assumed that fewer rows are contaminated than clean, but the 90% interval "
                f"of the contaminated share reaches {percent(most)}."
            ),
            decides=(
                f"Verify whether {rows} right or wrong, because the other rows could be the "
                "contaminated ones."
            ),
        )
    factor = 1.0 if widening is None else widening()
    if factor > _WIDER:
        rows = _rows_to_verify(0.5 - abs(responsibility - 0.5), np.zeros_like(responsibility))
        return Verdict(
            level="weak",
            sure=found,
            assumed=(
                "The clean means depend on rows that may or may not be contaminated: their "
                f"standard deviations are {factor:.1f} times as large as if one knew which rows "
                "are contaminated."
            ),
            decides=f"Verify whether {rows} right or wrong, because their status is most open.",
        )
    return Verdict(
        level="identified",
        sure=sentence(found, "no other explanation of the data competes"),
    )


def different(first: np.ndarray, second: np.ndarray) -> bool:
    """Return whether two arrays of responsibilities disagree about enough rows to matter.

    Args:
        first: Responsibilities P(z=1 | x, y) of one explanation, (N, *dims): the probabilities that
            targets are wrong.
        second: Responsibilities of another explanation, (N, *dims).

    Example:
        >>> different(np.array([0.0, 1.0]), np.array([0.1, 1.0]))
        False
    """
    return float(np.abs(first - second).sum()) > max(_ROWS, _SHARE * first.size)


def _total(group: Sequence[Peak]) -> float:
    return float(np.logaddexp.reduce([peak.log_evidence for peak in group]))


def _shared(responsibilities: Sequence[np.ndarray]) -> str:
    """Say how many rows all explanations flag, and how many only some of them flag."""
    flagged = np.stack(responsibilities) > 0.5
    everywhere, somewhere = int(flagged.all(0).sum()), int(flagged.any(0).sum())
    always = rows_are(everywhere) if everywhere else "No row is"
    return (
        f"{always} contaminated in every explanation, and {somewhere - everywhere} only in some of "
        "them."
    )


def _text(responsibility: np.ndarray, best: np.ndarray) -> str:
    """Describe the rows that an explanation flags, and how many of them the first one flags."""
    flagged = responsibility > 0.5
    count = int(flagged.sum())
    if not count:
        return "No row is contaminated, and all deviations are noise."
    shared = int((flagged & (best > 0.5)).sum())
    rows = rows_are(count)
    if responsibility is best:
        return f"{rows} contaminated."
    return f"{rows} contaminated, {shared} of them as in the first explanation."


def _rows_to_verify(best: np.ndarray, rival: np.ndarray) -> str:
    """Name the rows about which two explanations disagree most."""
    change = np.abs(best - rival).reshape(len(best), -1).max(1)
    rows = np.argsort(-change, kind="stable")[:3]
    rows = np.sort(rows[change[rows] > 0.3]) if (change > 0.3).any() else rows[:1]
    names = ", ".join(str(row) for row in rows)
    return f"row {names} is" if len(rows) == 1 else f"rows {names} are"
