"""The verdict on measurements, and the note that says on what the estimate rests."""

from collections.abc import Iterator

from nbam_pyro.outputs.explanation import Explanation, Level
from nbam_pyro.outputs.predictions.fitting import PredictionsPosterior
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
from nbam_pyro.outputs.wording.sentences import percent, sentence, share_clause, verified_clause

__all__ = ["predictions_note", "predictions_verdict"]

# If contamination has at most this probability, there is none.
_NONE = 0.25
# Contaminated rows are separate if at most this part of them could be clean.
_SEPARATE = 0.2
# Widths of the interval of the share above which nothing is identified, or nothing can be told.
_WIDE, _UNKNOWN = 0.15, 0.25
# Without clear contamination, the share is identified if the interval ends below this.
_LITTLE = 0.03


def predictions_verdict(
    found: PredictionsPosterior,
    *,
    count: int,
    verified: int,
    tied: float,
    interval: tuple[float, float],
    probability: float,
) -> Verdict:
    """Return the verdict on the contamination of measurements.

    Args:
        found: Posterior of the contaminated shares.
        count: Number of rows with a measurement.
        verified: Number of verified rows.
        tied: Share of rows that have the most frequent residual.
        interval: Interval of the contaminated share of these rows.
        probability: Probability that this interval contains.
    """
    level = _level(found, count, verified, tied, interval)
    share = share_clause(interval, "measurements are contaminated", probability=probability)
    chosen = verified_clause(verified, count)
    if level == "identified":
        little = found.contaminated < CLEAR and not verified
        told = "there is little or no visible contamination" if little else ""
        return Verdict(level=level, sure=sentence(told, share), assumed=sentence(chosen))
    tail = Explanation(
        text="Large residuals belong to the tail of clean measurements; none is contaminated.",
        contamination=0.0,
        weight=1 - found.contaminated,
    )
    wrong = Explanation(
        text="Contaminated measurements lie around a bulk of clean ones.",
        contamination=found.share_contaminated,
        weight=found.contaminated,
    )
    return Verdict(
        level=level,
        sure=sentence(*(_problems(count, tied) or [share])),
        assumed=sentence(*_assumed(found), chosen),
        decides=(
            "Verify the 20 rows with the largest residuals, and rows with a responsibility near "
            "one half: they show whether these measurements are wrong or belong to a heavy tail."
        ),
        explanations=likelier_first(wrong, tail),
    )


def _level(
    found: PredictionsPosterior,
    count: int,
    verified: int,
    tied: float,
    interval: tuple[float, float],
) -> Level:
    low, high = interval
    if count < FEWEST or tied > TIED or high - low > _UNKNOWN:
        return "cannot tell"
    clear = found.contaminated >= CLEAR and found.overlap <= _SEPARATE
    clear = clear and high - low <= _WIDE and found.share_contaminated <= GROUP
    none = found.contaminated <= _NONE and high <= _LITTLE
    return "identified" if clear or none or (verified and high - low <= NARROW) else "weak"


def _problems(count: int, tied: float) -> list[str]:
    """Return clauses about residuals whose distribution cannot be estimated."""
    told = []
    if count < FEWEST:
        told.append(few_clause(count, "measurements", "residuals"))
    if tied > TIED:
        told.append(
            f"{tied_clause(tied, 'residual')}: perhaps the predictions are not out of sample, or "
            "the measurements are rounded"
        )
    return told


def _assumed(found: PredictionsPosterior) -> Iterator[str]:
    """Yield clauses about the assumptions that the contaminated share rests on."""
    if found.contaminated < CLEAR:
        yield (
            "large residuals are contamination with a probability of "
            f"{percent(found.contaminated, 0)}, and otherwise a heavy tail of clean measurements"
        )
    elif found.overlap > _SEPARATE:
        yield "clean and contaminated residuals overlap, so the share rests on their assumed shapes"
    if found.contaminated > EVEN and found.share_contaminated > GROUP:
        yield group_clause("contaminated part", "clean measurements")


def predictions_note(*, probability: float, missing: int, verified: int, uneven: bool) -> str:
    """Return sentences about what the intervals contain and what they assume to be known.

    Args:
        probability: Probability that each interval contains.
        missing: Number of rows without a measurement.
        verified: Number of verified rows.
        uneven: Whether the scatter of residuals depends on the prediction.
    """
    return (
        f"The {probability:.0%} intervals contain the correction of the predictions (location, "
        "scale, skew and tails), the size of the errors, and which rows are wrong. They take the "
        "predictions themselves as given, and do not contain what another model would predict. "
        "The predictions must be out of sample: the model must not have seen the measurement of a "
        "row that it predicts. Errors that are smaller than the scatter of clean rows cannot be "
        "seen and are not counted."
        + (
            " The scatter depends on the prediction, and residuals were divided by it."
            if uneven
            else ""
        )
        + (f" {verified} verified rows were used." if verified else "")
        + (
            f" {missing} rows have no measurement; their responsibility is the population rate."
            if missing
            else ""
        )
    )
