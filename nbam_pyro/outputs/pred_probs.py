"""Estimates of which labels are wrong, from predicted probabilities alone."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from nbam_pyro import functional as nf
from nbam_pyro.checks.arguments import as_number
from nbam_pyro.errors import DataError
from nbam_pyro.models.priors.class_frequency import check_class_prior
from nbam_pyro.models.priors.pseudo_counts import FlipPrior
from nbam_pyro.outputs.intervals import (
    TransitionIntervals,
    check_probability,
    transition_intervals,
)
from nbam_pyro.outputs.note import report_note
from nbam_pyro.outputs.predicted import Predicted
from nbam_pyro.outputs.report import FLAGGED, PredProbsReport
from nbam_pyro.outputs.transition import Transition, estimate_transition

__all__ = ["SHARPNESS", "SHARPNESS_BAND", "from_pred_probs"]

SHARPNESS = 2.5
"""Sharpness that is used by default."""

SHARPNESS_BAND = (1.5, 2.0, SHARPNESS, 4.0, 6.0)
"""Values of the sharpness for which every main quantity is reported."""


def from_pred_probs(
    labels: Any,
    pred_probs: Any,
    *,
    verified: Any = None,
    sharpness: float | None = None,
    classes: Sequence[Any] | None = None,
    prior: FlipPrior | None = None,
    class_prior: float | None = None,
    probability: float = 0.9,
) -> PredProbsReport:
    r"""Estimate wrong labels, rates and flips from out-of-sample probabilities of any classifier.

    The story is that of `LabelFlip` without deviation, with a given predictor of the true label,

    .. math:: f_{ic} = p_{ic}^a / \sum_d p_{id}^a.

    Here p_ic is the predicted probability of class c for row i. `estimate_transition` estimates the
    contamination rates and the flip matrix T. A classifier that was trained on wrong labels also
    predicts wrong labels. Therefore p is less certain about the true label than it should be. The
    sharpness a corrects this.

    Labels alone do not determine a: many difficult rows and few wrong labels look the same as few
    difficult rows and many wrong labels. Therefore a is a fixed number, and every main quantity is
    also reported for a band of five values. Verified labels determine a, because they are
    observations of the true label. If `sharpness` is None, the value in the band with the largest
    sum of log p(true label | x, label) over verified rows is chosen. Verify rows that are drawn at
    random. Verifying only the most suspicious rows misleads the choice.

    The default a = 2.5 was chosen on development data (docs/benchmarks/predicted_probabilities.md).

    Args:
        labels: Observed labels, (N,), as column numbers of `pred_probs` 0, ..., K-1 or as names of
            classes: numbers or texts in an array, a list, a tensor, or a column of pandas, polars
            or pyarrow.
        pred_probs: Predicted probabilities p(c | x), (N, K). A classifier that was not trained on a
            row must have predicted it, for instance with
            `sklearn.model_selection.cross_val_predict`. An array, lists, a tensor, or a frame of
            pandas, polars or pyarrow with one column per class. Double precision is kept.
        verified: Verified true label of each row, (N,), NaN, None or -1 if none is verified; or a
            `Verified`. None if no row is verified.
        sharpness: Sharpness a, positive. None for `SHARPNESS` or, if labels are verified, for the
            value in `SHARPNESS_BAND` that fits them best.
        classes: Names of the classes in the order of the columns of `pred_probs`. None for the
            column names of a data frame, or for 0, ..., K-1 otherwise. If `classes` lists the
            column names of a data frame in another order, columns are matched by name.
        prior: Pseudo-counts of rates and flips; None for `FlipPrior(rate=(1.0, 9.0))`, under which
            wrong labels are rare.
        class_prior: Concentration h of a Dirichlet(h, ..., h) prior on class frequencies, in rows
            per class; None, the default, for no prior. Give it only if you know that classes are
            about equally frequent. The probabilities are then shifted to the estimated frequencies
            (`estimate_transition`), and the report says so.
        probability: Posterior probability that each interval contains, in (0, 1).

    Returns:
        A `PredProbsReport` with tables. Intervals treat the probabilities, the sharpness and, with
        `class_prior`, the estimated class frequencies as known. They do not include errors of the
        classifier; the band shows how much these may change the results.

    Raises:
        DataError: Shapes, indices or names do not agree, a label is missing or is not a class, a
            row of `pred_probs` does not sum to one, or a number is out of range.

    Source: Patrini et al. (2017) estimate the transition matrix from a classifier's confident
    predictions; Northcutt, Jiang & Chuang (2021) count on out-of-sample probabilities.

    Example:
        >>> p = [[0.8, 0.2]] * 50 + [[0.1, 0.9]] * 50
        >>> labels = ["cat"] * 40 + ["dog"] * 60
        >>> report = from_pred_probs(labels, p, classes=["cat", "dog"])
        >>> report.transition_matrix.round(2)
        observed   cat   dog
        true
        cat       0.84  0.16
        dog       0.02  0.98
        >>> report.rows.loc[49, ["label", "suggested_label"]].tolist()
        ['dog', 'cat']
        >>> report.rows.responsibility[49].round(2)
        np.float64(0.84)
    """
    data = Predicted.of(labels, pred_probs, verified=verified, classes=classes)
    if sharpness is not None:
        sharpness = as_number(sharpness, "sharpness")
        if not 0 < sharpness < math.inf:
            raise DataError(f"sharpness is {sharpness}; it must be positive and finite.")
    class_prior = None if class_prior is None else as_number(class_prior, "class_prior")
    check_class_prior(class_prior)
    probability = as_number(probability, "probability")
    check_probability(probability)
    prior = prior or FlipPrior(rate=(1.0, 9.0))
    fits = _over_band(data, sorted({*SHARPNESS_BAND, sharpness or SHARPNESS}), prior, class_prior)
    band = pd.DataFrame([fit.row for fit in fits.values()])
    if sharpness is None:
        sharpness = SHARPNESS if data.true_labels is None else _likeliest(fits)
    fit = fits[sharpness]
    log_f = _log_f(data.log_p, sharpness)
    intervals = transition_intervals(
        log_f,
        data.labels,
        fit.transition,
        prior=prior,
        true_labels=data.true_labels,
        probability=probability,
    )
    return PredProbsReport(
        rows=_rows(data, fit.transition.shifted(log_f), fit),
        rates=_rates(data.classes, intervals, fit, fits.values()),
        contamination=_contamination(intervals, fit, band),
        transition_matrix=_matrix(fit.transition.matrix, data.classes),
        flip_matrix=_matrix(fit.transition.flip, data.classes),
        band=band,
        sharpness=sharpness,
        class_prior=class_prior,
        note=report_note(data, band, sharpness, probability, class_prior),
    )


class _Fitted(NamedTuple):
    """Estimate at one sharpness."""

    transition: Transition
    responsibility: Float[Tensor, " n"]
    row: dict[str, float]


def _over_band(
    data: Predicted, tried: Sequence[float], prior: FlipPrior, class_prior: float | None
) -> dict[float, _Fitted]:
    fits: dict[float, _Fitted] = {}
    start = None
    for sharpness in tried:
        log_f = _log_f(data.log_p, sharpness)
        transition = estimate_transition(
            log_f,
            data.labels,
            prior=prior,
            true_labels=data.true_labels,
            start=start,
            class_prior=class_prior,
        )
        start = transition.counts  # Estimates at neighbouring values are similar.
        log_f = transition.shifted(log_f)
        responsibility = _responsibility(data, log_f, transition)
        row = {
            "sharpness": sharpness,
            "rate": transition.share,
            "log_marginal": transition.log_marginal,
            "flagged": int((responsibility > FLAGGED).sum()),
            "verified_log_prob": _verified_log_prob(data, log_f, transition),
        }
        fits[sharpness] = _Fitted(transition, responsibility, row)
    return fits


def _log_f(log_p: Float[Tensor, "n k"], sharpness: float) -> Float[Tensor, "n k"]:
    log_f = log_p * sharpness
    return log_f.sub_(log_f.logsumexp(-1, keepdim=True))


def _latents(transition: Transition, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return logits of rates and log T, in the precision of another tensor."""
    return transition.rate.logit().to(like), transition.flip.log().to(like)


def _responsibility(
    data: Predicted, log_f: Float[Tensor, "n k"], transition: Transition
) -> Float[Tensor, " n"]:
    pair = nf.label_flip_log_joint(
        log_f, data.labels, *_latents(transition, log_f), true_label=data.true_labels
    )
    return nf.responsibility(*pair)


def _verified_log_prob(
    data: Predicted, log_f: Float[Tensor, "n k"], transition: Transition
) -> float:
    if data.true_labels is None:
        return math.nan
    known = data.true_labels >= 0
    latents = _latents(transition, log_f)
    posterior = nf.label_flip_log_posterior(log_f[known], data.labels[known], *latents)
    return float(posterior.gather(1, data.true_labels[known, None]).double().sum())


def _likeliest(fits: Mapping[float, _Fitted]) -> float:
    return max(fits, key=lambda sharpness: fits[sharpness].row["verified_log_prob"])


def _rows(data: Predicted, log_f: Float[Tensor, "n k"], fit: _Fitted) -> pd.DataFrame:
    log_posterior = nf.label_flip_log_posterior(
        log_f, data.labels, *_latents(fit.transition, log_f), true_label=data.true_labels
    )
    best, suggested = log_posterior.max(-1)
    return pd.DataFrame(
        {
            "label": data.classes.take(data.labels.numpy()),
            "predicted_label": data.classes.take(data.log_p.argmax(-1).numpy()),
            "responsibility": fit.responsibility.double().numpy(),
            "suggested_label": data.classes.take(suggested.numpy()),
            "suggested_probability": best.double().exp().numpy(),
        },
        index=data.index,
    )


def _rates(
    classes: pd.Index, intervals: TransitionIntervals, fit: _Fitted, fits: Iterable[_Fitted]
) -> pd.DataFrame:
    over_band = torch.stack([other.transition.rate for other in fits])
    columns = {
        "rate": fit.transition.rate,
        "low": intervals.rate_low,
        "high": intervals.rate_high,
        "band_low": over_band.amin(0),
        "band_high": over_band.amax(0),
    }
    return pd.DataFrame({"class": classes, **{name: x.numpy() for name, x in columns.items()}})


def _contamination(intervals: TransitionIntervals, fit: _Fitted, band: pd.DataFrame) -> pd.Series:
    values = {
        "rate": fit.transition.share,
        "low": intervals.share_low,
        "high": intervals.share_high,
        "band_low": band["rate"].min(),
        "band_high": band["rate"].max(),
    }
    return pd.Series(values, name="contamination")


def _matrix(matrix: Float[Tensor, "k k"], classes: pd.Index) -> pd.DataFrame:
    return pd.DataFrame(
        matrix.numpy(), index=classes.rename("true"), columns=classes.rename("observed")
    )
