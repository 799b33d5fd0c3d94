"""Estimates of which labels are wrong, from predicted probabilities alone."""

import math
from collections.abc import Sequence
from typing import Any, overload

from nbam_pyro.checks.arguments import as_number
from nbam_pyro.errors import DataError
from nbam_pyro.models.priors.class_frequency import check_class_prior
from nbam_pyro.models.priors.clean_error import CleanError, CleanErrorLike
from nbam_pyro.models.priors.pseudo_counts import FlipPrior
from nbam_pyro.outputs.annotations.from_annotations import from_annotations
from nbam_pyro.outputs.annotations.report import AnnotationReport
from nbam_pyro.outputs.contamination_report import ContaminationReport
from nbam_pyro.outputs.intervals import check_probability
from nbam_pyro.outputs.label_readings import RARE, Readings
from nbam_pyro.outputs.label_report import label_report
from nbam_pyro.outputs.predicted import Predicted

__all__ = ["from_pred_probs"]


@overload
def from_pred_probs(
    labels: None,
    pred_probs: Any,
    *,
    annotations: Any,
    verified: Any = None,
    classes: Sequence[Any] | None = None,
    probability: float = 0.9,
) -> AnnotationReport: ...


@overload
def from_pred_probs(
    labels: Any,
    pred_probs: Any,
    *,
    verified: Any = None,
    sharpness: float | None = None,
    clean_error: CleanErrorLike = None,
    classes: Sequence[Any] | None = None,
    prior: FlipPrior | None = None,
    class_prior: float | None = None,
    probability: float = 0.9,
) -> ContaminationReport: ...


def from_pred_probs(
    labels: Any,
    pred_probs: Any,
    *,
    annotations: Any = None,
    verified: Any = None,
    sharpness: float | None = None,
    clean_error: CleanErrorLike = None,
    classes: Sequence[Any] | None = None,
    prior: FlipPrior | None = None,
    class_prior: float | None = None,
    probability: float = 0.9,
) -> ContaminationReport | AnnotationReport:
    r"""Estimate wrong labels, rates and flips from out-of-sample probabilities of any classifier.

    The story is that of `LabelFlip` without deviation, with a given predictor of the true label,

    .. math:: f_{ic} = .995\, p_{ic}^a / \sum_d p_{id}^a + .005\, \bar p_c.

    Here p_ic is the predicted probability of class c for row i, and :math:`\bar p_c` is its mean
    over rows. a is the *sharpness*, the power to which probabilities are raised before they are
    normalised. A classifier that was trained on wrong labels also predicts wrong labels, and many
    classifiers are too certain or not certain enough. The sharpness a corrects this. Labels do not
    determine a: many difficult rows and few wrong labels look the same as few difficult rows and
    many wrong labels. Therefore a has a prior given what can be seen, such as the agreement of the
    classifier with the labels. This prior was fitted across data sets and classifiers
    (docs/benchmarks/predicted_probabilities.md). The explanation that no label is wrong and the
    classifier makes all mistakes has a prior probability, too.

    Rates and the flip matrix T are estimated at thirteen values of a (`estimate_transition`).
    Responsibilities, rates and intervals are averages over these values, and over the explanation
    that no label is wrong. The labels do not change the weights of the values. Verified labels do,
    because they are observations of the true label: the weight of a value is multiplied by
    p(true label | x, label) of every verified row. Verify rows that are drawn at random.

    Labels of several annotators are given as `annotations`, with None as `labels`; this is the same
    as `from_annotations`, with p as the predictor of the true label.

    Args:
        labels: Observed labels, (N,), as column indices of `pred_probs` 0, ..., K-1 or as names of
            classes: numbers or texts in an array, a list, a tensor, or a column of pandas, polars
            or pyarrow.
        pred_probs: Predicted probabilities p(c | x), (N, K). A classifier that was not trained on a
            row must have predicted it, for instance with
            `sklearn.model_selection.cross_val_predict`. An array, lists, a tensor, or a frame of
            pandas, polars or pyarrow with one column per class. Double precision is kept.
        annotations: Labels of several annotators, as in `from_annotations`; `labels` is then None,
            and `verified` is indexed by items. None for one label per row.
        verified: Verified true label of each row, (N,), NaN, None or -1 if none is verified; or a
            `Verified`. None if no row is verified.
        sharpness: Sharpness a, positive, if it is known. Results are then for this value alone, and
            the explanation that no label is wrong is left out. None to average over values of a.
        clean_error: What you know about the mistakes of the classifier: which part of the rows on
            which it disagrees with the label is its own error, and not that of the label. A pair
            (low, high) of numbers in [0, 1], all values between them equally probable;
            `Beta(a, b)`; or "open", which makes all values equally probable and the verdict "cannot
            tell". None for the fitted prior of the sharpness.
        classes: Names of the classes in the order of the columns of `pred_probs`. None for the
            column names of a data frame, or for 0, ..., K-1 otherwise. If `classes` lists the
            column names of a data frame in another order, columns are matched by name.
        prior: Pseudo-counts of contamination rates and flips; None for `FlipPrior(rate=(1.0,
            9.0))`, under which wrong labels are rare.
        class_prior: Concentration h of a Dirichlet(h, ..., h) prior on class frequencies, in rows
            per class; None, the default, for no prior. Give it only if you know that classes are
            about equally frequent. The probabilities are then shifted to the estimated frequencies
            (`estimate_transition`), and the report says so.
        probability: Posterior probability that each interval contains, in (0, 1).

    Returns:
        A `ContaminationReport` of labels. Its intervals contain the uncertainty about the
        sharpness, the rates, the flips and which rows are wrong. With `class_prior`, they take the
        estimated class frequencies as known. With `annotations`, an `AnnotationReport`.

    Raises:
        DataError: Shapes, indices or names do not agree, a label is missing or is not a class, a
            row of `pred_probs` does not sum to one, a number is out of range, or `sharpness` and
            `clean_error` are both given. Or `labels` and `annotations` are both given, or neither,
            or an option about the sharpness or a prior is given with `annotations`.

    Source: Patrini et al. (2017) estimate the transition matrix from a classifier's confident
    predictions; Northcutt, Jiang & Chuang (2021) count on out-of-sample probabilities; Plummer
    (2015) describes cut posteriors.

    Example:
        >>> p = [[0.8, 0.2]] * 50 + [[0.1, 0.9]] * 50
        >>> labels = ["cat"] * 40 + ["dog"] * 60
        >>> report = from_pred_probs(labels, p, classes=["cat", "dog"])
        >>> r = report.rows["responsibility"]
        >>> bool(r[49] > 10 * r[0])  # Row 49 is called "dog" and predicted as "cat".
        True
        >>> low, high = report.contamination_interval
        >>> bool(low < report.contamination < high)
        True
    """
    if annotations is not None:
        if labels is not None or any(
            one is not None for one in (sharpness, clean_error, prior, class_prior)
        ):
            raise DataError(
                "annotations are given, so labels must be None, and sharpness, clean_error, prior "
                "and class_prior do not apply. Leave them out."
            )
        return from_annotations(
            annotations, pred_probs, verified=verified, classes=classes, probability=probability
        )
    if labels is None:
        raise DataError("labels are None. Give one label per row, or annotations=.")
    data = Predicted.of(labels, pred_probs, verified=verified, classes=classes)
    if sharpness is not None:
        sharpness = as_number(sharpness, "sharpness")
        if not 0 < sharpness < math.inf:
            raise DataError(f"sharpness is {sharpness}; it must be positive and finite.")
    error = CleanError.of(clean_error)
    if sharpness is not None and error is not None:
        raise DataError(
            "sharpness and clean_error are both given, but each sharpness has one clean error. "
            "Leave out one of them."
        )
    class_prior = None if class_prior is None else as_number(class_prior, "class_prior")
    check_class_prior(class_prior)
    probability = as_number(probability, "probability")
    check_probability(probability)
    readings = Readings.of(
        data,
        prior=prior or RARE,
        class_prior=class_prior,
        sharpness=sharpness,
        clean_error=error,
    )
    return label_report(
        readings, class_prior=class_prior, given=sharpness is not None, probability=probability
    )
