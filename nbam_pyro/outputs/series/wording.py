"""The verdict on series of rows, and the note that says on what the estimate rests."""

from collections.abc import Iterator

import numpy as np

from nbam_pyro.outputs.explanation import Level
from nbam_pyro.outputs.series.posterior import ChainPosterior
from nbam_pyro.outputs.verdict import Verdict
from nbam_pyro.outputs.wording.sentences import sentence, share_clause

__all__ = ["series_note", "series_verdict"]

# Widest intervals of a share that is identified, and that is weak.
_NARROW, _WIDE = 0.1, 0.2
# Log evidence, in nats, above which an explanation is clear: odds of 20 to 1.
_CLEAR = 3.0
# A smaller share is none.
_NONE = 0.01
# With fewer bursts, a drift of the clean rows explains them as well.
_BURSTS = 3
_HALF = 0.5
_VERIFIED = 20
# Neighbours that are alike by more standard errors than this contradict the model, or may do so.
_ALIKE, _MAYBE_ALIKE = 3.0, 2.0


def series_verdict(
    found: ChainPosterior,
    *,
    interval: tuple[float, float],
    dwell: tuple[float, float],
    timed: bool,
    given: bool,
    probability: float,
) -> Verdict:
    """Return the verdict on the contamination of series.

    Args:
        found: Posterior of share, dwell and switches.
        interval: Interval of the share of contaminated rows.
        dwell: Interval of the dwell, in the unit of the order.
        timed: Whether the rows have an order, in whose unit the dwell is.
        given: Whether the likelihoods were given, and not estimated as Normal distributions.
        probability: Probability that the intervals contain.
    """
    doubts = [*_doubts(found, interval)]
    level = _level(found, interval, bool(doubts))
    share = share_clause(interval, "rows are contaminated", probability=probability)
    shown = doubts if level == "cannot tell" else [share, *_length(found, dwell, timed), *doubts]
    known = "known" if given else "Normal"
    assumed = (
        f"both likelihoods are taken as {known}, and rows as independent given their switches: a "
        "slow drift or autocorrelated noise of clean rows looks like long contamination"
    )
    bursts = max(1, min(_VERIFIED, round(float(np.median(found.switches.bursts)))))
    where = "the longest burst" if bursts == 1 else f"each of the {bursts} longest bursts"
    return Verdict(
        level=level,
        sure=sentence(*shown),
        assumed=sentence(assumed),
        decides=""
        if level == "identified"
        else f"Verify one row in {where}, and as many rows between bursts.",
    )


def series_note(*, verified: int) -> str:
    """Return sentences about what the intervals contain and what they assume to be known.

    Args:
        verified: Number of verified rows.
    """
    rows = "row was" if verified == 1 else "rows were"
    used = f"{verified} verified {rows} used. " if verified else ""
    return (
        f"{used}Intervals contain the uncertainty about the share, the length of bursts and which "
        "rows are contaminated. Filtered probabilities use only earlier rows, but the share and "
        "the length of bursts are estimated from all rows."
    )


def _level(found: ChainPosterior, interval: tuple[float, float], doubtful: bool) -> Level:
    low, high = interval
    if high - low > _WIDE or low > _HALF or found.likeness > _ALIKE:
        return "cannot tell"
    if found.presence < _CLEAR and high > _NONE:
        return "cannot tell" if high - low > _NARROW else "weak"
    return "weak" if high - low > _NARROW or doubtful else "identified"


def _doubts(found: ChainPosterior, interval: tuple[float, float]) -> Iterator[str]:
    """Yield clauses about what the series leave open."""
    low, high = interval
    bursts = float(np.median(found.switches.bursts))
    if low > _HALF:
        yield (
            "more than half of the rows look contaminated, so the clean and the anomaly likelihood "
            "may have been exchanged"
        )
    elif found.likeness > _MAYBE_ALIKE:
        surely = "are" if found.likeness > _ALIKE else "may be"
        yield (
            f"neighbouring rows {surely} more alike than bursts explain, as in a drift or in "
            "autocorrelated noise, which looks like contamination"
        )
    elif high - low > _WIDE:
        yield "the two likelihoods are too similar to show how many rows are contaminated"
    elif found.presence < _CLEAR and high > _NONE:
        yield "the series are explained about as well without any contamination"
    elif bursts < _BURSTS and high > _NONE and found.persistence > _CLEAR:
        many = "is only 1 burst" if bursts <= 1 else f"are only {bursts:.0f} bursts"
        yield f"there {many}, which a drift of the clean rows would explain as well"


def _length(found: ChainPosterior, dwell: tuple[float, float], timed: bool) -> Iterator[str]:
    unit = "units of the order" if timed else "rows"
    if found.persistence > _CLEAR:
        yield (
            f"contamination comes in bursts, which last {dwell[0]:.3g} to {dwell[1]:.3g} {unit} on "
            "average"
        )
    elif found.persistence < -_CLEAR:
        yield "contaminated rows do not come in bursts"
    else:
        yield "it is open whether contamination comes in bursts"
