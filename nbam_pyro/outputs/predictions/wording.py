"""The verdict on measurements, and the note that says on what the estimate rests."""

from nbam_pyro.outputs.predictions.fitting import PredictionsPosterior
from nbam_pyro.outputs.verdict import Explanation, Level, Verdict

__all__ = ["predictions_note", "predictions_verdict"]

# Contamination with at least the first probability is clear. Below the second there is none.
_CLEAR, _NONE = 0.95, 0.25
# Contaminated rows are separate if at most this part of them could be clean.
_SEPARATE = 0.2
# Widths of the interval of the share above which nothing is identified, or nothing can be told.
_WIDE, _UNKNOWN = 0.15, 0.25
# Verified rows identify a share with an interval below this width.
_NARROW = 0.06
# Without clear contamination, the share is identified if the interval ends below this.
_LITTLE = 0.03
# A second part with more than this share of the rows may be a second group of clean rows.
_GROUP = 0.3
# If more than this share of the residuals is equal, their distribution cannot be estimated.
_TIED = 0.2
_FEW = 20
"""With fewer measurements the distribution of the residuals cannot be estimated."""


def predictions_verdict(
    found: PredictionsPosterior,
    *,
    count: int,
    verified: int,
    tied: float,
    interval: tuple[float, float],
) -> Verdict:
    """Return the verdict on the contamination of measurements.

    Args:
        found: Posterior of the contaminated shares.
        count: Number of rows with a measurement.
        verified: Number of verified rows.
        tied: Share of rows that have the most frequent residual.
        interval: Interval of the contaminated share of these rows.
    """
    level = _level(found, count, verified, tied, interval)
    if level == "identified":
        little = found.contaminated < _CLEAR and not verified
        told = ("There is little or no visible contamination.",) if little else ()
        return Verdict(level=level, reasons=told)
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
        reasons=tuple(_reasons(found, count, tied, interval)),
        explanations=(wrong, tail) if found.contaminated > 1 / 2 else (tail, wrong),
        separates=(
            "Verify rows with large residuals, and rows with a responsibility near one half: they "
            "show whether these measurements are wrong or belong to a heavy tail.",
        ),
    )


def _level(
    found: PredictionsPosterior,
    count: int,
    verified: int,
    tied: float,
    interval: tuple[float, float],
) -> Level:
    low, high = interval
    if count < _FEW or tied > _TIED or high - low > _UNKNOWN:
        return "cannot tell"
    clear = found.contaminated >= _CLEAR and found.overlap <= _SEPARATE
    clear = clear and high - low <= _WIDE and found.share_contaminated <= _GROUP
    none = found.contaminated <= _NONE and high <= _LITTLE
    return "identified" if clear or none or (verified and high - low <= _NARROW) else "weak"


def _reasons(
    found: PredictionsPosterior, count: int, tied: float, interval: tuple[float, float]
) -> list[str]:
    told = []
    if count < _FEW:
        told.append(
            f"There are only {count} measurements, too few to estimate the distribution of the "
            "residuals."
        )
    if tied > _TIED:
        told.append(
            f"{tied:.0%} of the rows have the same residual. Perhaps the predictions are not out "
            "of sample, or the measurements are rounded."
        )
    if _NONE < found.contaminated < _CLEAR:
        told.append("Large residuals could be contamination or a heavy tail of clean rows.")
    elif found.contaminated >= _CLEAR and found.overlap > _SEPARATE:
        told.append("Clean and contaminated residuals overlap.")
    if found.contaminated > 1 / 2 and found.share_contaminated > _GROUP:
        told.append("The contaminated part is so large that it may be a group of clean rows.")
    if interval[1] - interval[0] > _WIDE:
        told.append(f"The contaminated share lies between {interval[0]:.1%} and {interval[1]:.1%}.")
    return told


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
