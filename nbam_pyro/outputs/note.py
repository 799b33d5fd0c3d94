"""The note of a report of labels, which says what its intervals contain and take as given."""

import math

from nbam_pyro.models.priors.class_frequency import class_prior_sentence
from nbam_pyro.outputs.predicted import Predicted

__all__ = ["report_note"]

# Predictions with a larger log probability count as certain.
_SURE = math.log1p(-1e-6)


def report_note(
    data: Predicted,
    *,
    sharpness: float | None,
    probability: float,
    class_prior: float | None,
) -> str:
    """Return the note of a report.

    Args:
        data: Predicted probabilities and observed labels.
        sharpness: Sharpness that the caller gave to `from_pred_probs`; None if it gave none.
        probability: Posterior probability that each interval contains.
        class_prior: Pseudo-count of each class; None without a prior on class frequencies.
    """
    known = 0 if data.true_labels is None else int((data.true_labels >= 0).sum())
    contained = (
        "the unknown sharpness of the classifier, the rates, the flips and which rows are wrong."
        if sharpness is None
        else "the rates, the flips and which rows are wrong. "
        f"Sharpness {sharpness:g} was given and is taken as known."
    )
    return (
        f"The {probability:.0%} intervals contain {contained} The probabilities must be out of "
        "sample: the classifier must not have seen the label of a row that it predicts."
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
        f" In {sure} of {n} rows one class has probability 1, as from a decision tree. Such "
        "probabilities do not show which rows are difficult. Average the probabilities over many "
        "trees, or calibrate them."
    )


def _class_prior(class_prior: float | None) -> str:
    if class_prior is None:
        return ""
    sentence = class_prior_sentence(class_prior)
    return f" {sentence} Intervals take the estimated frequencies as given."
