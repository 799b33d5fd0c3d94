"""The note of a report: it lists what the intervals of the report treat as known."""

import math

import pandas as pd

from nbam_pyro.models.priors.class_frequency import class_prior_sentence
from nbam_pyro.outputs.predicted import Predicted

__all__ = ["report_note"]

# Predictions with a larger log probability count as certain.
_SURE = math.log1p(-1e-6)


def report_note(
    data: Predicted,
    band: pd.DataFrame,
    sharpness: float,
    probability: float,
    class_prior: float | None,
) -> str:
    """Return the note of a report.

    Args:
        data: Predicted probabilities and observed labels.
        band: Table with one row per sharpness, as in `PredProbsReport`.
        sharpness: Sharpness that the report uses.
        probability: Posterior probability that each interval contains.
        class_prior: Pseudo-count of each class; None without a prior on class frequencies.
    """
    lowest, highest = band["sharpness"].min(), band["sharpness"].max()
    known = 0 if data.true_labels is None else int((data.true_labels >= 0).sum())
    return (
        f"The {probability:.0%} intervals take these probabilities and sharpness {sharpness:g} as "
        "given; they do not include errors of the classifier. Labels alone do not determine the "
        f"sharpness: bands are for sharpness {lowest:g} to {highest:g}."
        + (f" {known} verified labels were used." if known else "")
        + _certain_rows(data)
        + _class_prior(class_prior)
    )


def _certain_rows(data: Predicted) -> str:
    n = len(data.log_p)
    sure = int((data.log_p.amax(-1) >= _SURE).sum())
    if sure < n / 2:
        return ""
    return (
        f" In {sure} of {n} rows one class has probability 1, as from a decision tree. The "
        "intervals treat these rows as certain and may be single points, although the predictions "
        "may be wrong. Average the probabilities over many trees, or calibrate them."
    )


def _class_prior(class_prior: float | None) -> str:
    if class_prior is None:
        return ""
    sentence = class_prior_sentence(class_prior)
    return f" {sentence} Intervals take the estimated frequencies as given."
