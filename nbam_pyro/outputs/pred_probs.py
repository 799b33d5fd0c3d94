"""Which labels are wrong, how many and which way, from predicted probabilities alone."""

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
from nbam_pyro.models.priors.class_frequency import check_class_prior, class_prior_sentence
from nbam_pyro.models.priors.pseudo_counts import FlipPrior
from nbam_pyro.outputs.intervals import (
    TransitionIntervals,
    check_probability,
    transition_intervals,
)
from nbam_pyro.outputs.predicted import Predicted
from nbam_pyro.outputs.report import FLAGGED, PredProbsReport
from nbam_pyro.outputs.transition import Transition, estimate_transition

__all__ = ["SHARPNESS", "SHARPNESS_BAND", "from_pred_probs"]

SHARPNESS = 2.5
"""The sharpness where nothing else is said."""

SHARPNESS_BAND = (1.5, 2.0, SHARPNESS, 4.0, 6.0)
"""Over these every main quantity is reported."""

# Log probability from which on a prediction counts as sure.
_SURE = math.log1p(-1e-6)


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
    r"""Responsibilities, rates and flips from any classifier's out-of-sample probabilities.

    The story is that of `LabelFlip` without deviation; its predictor of the true label is given,

    .. math:: f_{ic} = p_{ic}^a / \sum_d p_{id}^a,

    and `estimate_transition` finds rates and T. A classifier that was trained on wrong labels
    predicts them: p is too soft for the true label. The sharpness a undoes that. Labels alone do
    not tell which a is right - many hard rows and few wrong labels look the same as few hard rows
    and many wrong labels - so it is a fixed number, and every main quantity is also told over a
    band of five. Verified labels tell: they are taken as observations of the true label and, where
    `sharpness` is None, choose a from the band by the sum of log p(true label | x, label). Verify
    rows that are drawn at random: a few of the most suspicious rows mislead the choice.

    The default a = 2.5 was chosen on development data (docs/benchmarks/predicted_probabilities.md).

    Args:
        labels: observed labels, (N,), as columns of `pred_probs` 0, ..., K-1 or by name: numbers or
            texts in an array, a list, a tensor, or a column of pandas, polars or pyarrow.
        pred_probs: p(c | x), (N, K), each row predicted by a classifier that was not trained on
            it, for instance by `sklearn.model_selection.cross_val_predict`: an array, lists, a
            tensor, or a frame of pandas, polars or pyarrow, whose columns are the classes. Double
            precision stays so.
        verified: Verified true labels, (N,), NaN, None or -1 where unknown; or a `Verified`. None
            where nothing is verified.
        sharpness: a, positive; None for `SHARPNESS`, or for what `verified` says.
        classes: names of the columns of `pred_probs`; None for those of a frame, or 0, ..., K-1.
            Where they are the names of a frame's columns in another order, each is its own column.
        prior: of rates and flips; None for `FlipPrior(rate=(1.0, 9.0))`, sceptical of wrong labels.
        class_prior: h of a Dirichlet(h, ..., h) prior on class frequencies, in rows per class; for
            those who know that classes are about equally frequent, and the report says so. The
            probabilities are then shifted to the frequencies found (`estimate_transition`). None,
            the default, for no prior.
        probability: of the intervals, in (0, 1).

    Returns:
        frames, see `PredProbsReport`. Intervals are conditional on the probabilities, on the
        sharpness and, with `class_prior`, on the class frequencies found: errors of the classifier
        are not in them. The band is there for that.

    Raises:
        DataError: shapes, indices or names do not fit, a label is missing or no class, rows of
            `pred_probs` do not sum to one, or a number is out of range.

    Source: the transition matrix from a confident classifier's predictions is Patrini et al.
    (2017); from out-of-sample probabilities, by counting, Northcutt, Jiang & Chuang (2021).

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
            raise DataError(f"sharpness is {sharpness}; it is positive and finite.")
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
        note=_note(sharpness, data, band, probability) + _supposed(class_prior),
    )


class _Fitted(NamedTuple):
    """An estimate at one sharpness."""

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
        start = transition.counts  # a sharpness differs little from the one before
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
    """Logits of rates and log T, as the closed form takes them, in the precision of another."""
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


def _note(sharpness: float, data: Predicted, band: pd.DataFrame, probability: float) -> str:
    lowest, highest = band["sharpness"].min(), band["sharpness"].max()
    known = 0 if data.true_labels is None else int((data.true_labels >= 0).sum())
    return (
        f"Intervals hold {probability:.0%} given these probabilities and sharpness {sharpness:g}; "
        "errors of the classifier are not in them. Labels alone do not tell the sharpness: bands "
        f"run over {lowest:g} to {highest:g}"
        + (f", and {known} verified labels were used." if known else ".")
        + _sure(data)
    )


def _sure(data: Predicted) -> str:
    n = len(data.log_p)
    sure = int((data.log_p.amax(-1) >= _SURE).sum())
    if sure < n / 2:
        return ""
    return (
        f" In {sure} of {n} rows one class has probability 1, as a decision tree says it: the "
        "intervals hold no doubt about those rows and may be single points, which says nothing of "
        "how right they are. Probabilities between 0 and 1, averaged over many trees or "
        "calibrated, say more."
    )


def _supposed(class_prior: float | None) -> str:
    if class_prior is None:
        return ""
    return f" {class_prior_sentence(class_prior)} Intervals take the frequencies found as given."
