"""Findings from fits, estimators, detectors and reports of `from_pred_probs` and others."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from nbam_pyro.checks.containers import unwrapped
from nbam_pyro.detection.scored import ScoredDetector
from nbam_pyro.errors import DataError, StoryError
from nbam_pyro.estimators.base import NBAMEstimator
from nbam_pyro.inference import Fit
from nbam_pyro.inference.workflow.predictive_checks import KnownFlips
from nbam_pyro.outputs import ContaminationReport
from nbam_pyro.outputs.share import Share
from nbam_pyro.pages.findings import Findings, Group, Truth
from nbam_pyro.pages.rates import parts_of_fit, parts_of_report
from nbam_pyro.plots.sources import truth

__all__ = ["BASES", "Given", "findings_of", "rows_of"]

BASES = {
    "cross-fitted": "Shares and probabilities rest on predictions for rows that the network has "
    "not seen. The flips assume that the network is right.",
    "in-sample": "All numbers assume that the fitted model is right. The intervals do not contain "
    "its errors.",
    "out-of-sample": "All numbers rest on the given predictions, which must be out of sample.",
}
"""What numbers rest on, by the evidence of a fit or run."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Given:
    """What a caller of `report` adds to the object.

    Attributes:
        y: Observed targets, (N,), or None.
        names: Names of the classes, (K,), or None.
        prediction: Predicted measurements, (N,), or None.
        by: Group of each row, (N,), or None.
        known: Known truth: a `KnownFlips`, or (N,) booleans; or None.
        data: Name of the data.
    """

    y: Any = None
    names: Sequence[Any] | None = None
    prediction: Any = None
    by: Any = None
    known: Any = None
    data: str = "data"


def findings_of(source: Any, given: Given) -> Findings:
    """Return the findings of an object.

    Args:
        source: A `Fit`, a fitted estimator, a fitted detector, or a `ContaminationReport`.
        given: What the caller adds.

    Raises:
        DataError: The object is none of these, something is missing, or lengths differ.
        StoryError: A row of the fit has more than one target.
    """
    match source:
        case Fit():
            return _of_fit(source, given)
        case NBAMEstimator() if hasattr(source, "fit_"):
            return _of_estimator(source, given)
        case ScoredDetector() if hasattr(source, "report_"):
            flagged = source.decision_scores_ > source.threshold_
            return _of_report(source.report_, given, flagged=flagged)
        case ContaminationReport():
            return _of_report(source, given)
    raise DataError(
        f"A {type(source).__name__} has nothing to report. Give a Fit, a fitted estimator or "
        "detector, or the result of from_pred_probs, from_predictions or from_scores."
    )


def rows_of(source: Any) -> int:
    """Return the number of rows N of an object that has findings.

    Args:
        source: Object as in `findings_of`.
    """
    match source:
        case Fit():
            return len(source.training_rows.responsibility)
        case NBAMEstimator():
            return len(source.responsibility_)
        case ScoredDetector():
            return len(source.decision_scores_)
    return len(source.rows)


def _of_fit(fit: Fit, given: Given) -> Findings:
    rows, labels = fit.training_rows, fit.story.latent_label
    r = rows.responsibility
    if r.ndim > 1:
        raise StoryError(
            f"The rows of this fit have {r.shape[1:]} targets each, but a report is about rows "
            "with one target. Use plots.responsibilities and the verdict."
        )
    if given.y is None:
        raise DataError("A Fit does not keep its targets. Give y, the N targets of its rows.")
    y = _column("y", given.y, len(r))
    table = pd.DataFrame({"row": np.arange(len(r)).astype(str), "responsibility": r})
    names = None
    if labels is None:
        table["label"] = y
    else:
        names = _names(given.names, labels.num_classes)
        codes = np.asarray(y).astype(int)
        if rows.true_label is None or codes.min() < 0 or codes.max() >= len(names):
            raise DataError(f"y must contain class indices from 0 to {len(names) - 1}.")
        table["label"] = [names[code] for code in codes]
        table["suggested_label"] = [names[code] for code in rows.true_label.argmax(1)]
        table["suggested_probability"] = rows.true_label.max(1)
    verdict = fit.verdict if names is None else fit.verdict.named(names)
    return Findings(
        kind="measurements" if labels is None else "labels",
        rows=_with_prediction(table, given),
        share=rows.share,
        rate=rows.population_rate,
        verdict=verdict.level,
        reasons=verdict.lines()[1:],
        explanations=verdict.explanations,
        basis=BASES[rows.evidence],
        classes=names,
        **parts_of_fit(fit, names),
        **_shared(given, len(r), r),
    )


def _of_estimator(estimator: NBAMEstimator, given: Given) -> Findings:
    fit, targets = estimator.fit_, estimator.targets_
    classes = getattr(estimator, "classes_", None)
    names = None if classes is None else [str(one) for one in classes]
    present, r = targets.present, estimator.responsibility_
    table = pd.DataFrame({"row": np.arange(len(r)).astype(str), "responsibility": r})
    if names is None:
        table["label"] = targets.column.cells
    else:
        table["label"] = [str(one) for one in targets.column.cells]
        posterior = fit.training_rows.true_label
        if posterior is not None and len(posterior) == present.sum():
            suggested = np.zeros((len(r), len(names)))
            suggested[present] = posterior
            table["suggested_label"] = [names[code] for code in suggested.argmax(1)]
            table["suggested_probability"] = suggested.max(1)
    if len(targets.verified):
        table["verified"] = targets.verified.known.numpy()
    probability = fit.training_rows.share.probability
    verdict = fit.verdict if names is None else fit.verdict.named(names)
    share = Share(estimator.contamination_, *estimator.contamination_interval_, probability)
    rate = Share(estimator.population_rate_, *estimator.population_rate_interval_, probability)
    return Findings(
        kind="measurements" if names is None else "labels",
        rows=_with_prediction(table, given)[present],
        share=share,
        rate=rate,
        verdict=verdict.level,
        reasons=verdict.lines()[1:],
        explanations=verdict.explanations,
        basis=BASES[fit.training_rows.evidence],
        classes=names,
        **parts_of_fit(fit, names),
        **_shared(given, len(r), r),
    )


def _of_report(
    report: ContaminationReport, given: Given, *, flagged: np.ndarray | None = None
) -> Findings:
    own = report.rows
    r = own["responsibility"].to_numpy(dtype=float)
    table = pd.DataFrame({"row": own.index.astype(str), "responsibility": r})
    if flagged is not None:
        table["flagged"] = flagged
    names: list[str] | None = None
    if report.labels is not None:
        classes = report.labels.rates["class"].tolist()
        names = _names(given.names, len(classes)) if given.names else [str(c) for c in classes]
        renamed = dict(zip(classes, names, strict=True))
        for column in ("label", "suggested_label"):
            table[column] = own[column].map(renamed).to_numpy()
        table["suggested_probability"] = own["suggested_probability"].to_numpy()
    elif report.kind == "measurements":
        table["label"] = own["measurement"].to_numpy()
        table["prediction"] = own["prediction"].to_numpy()
    elif report.kind == "scores":
        table["score"] = own["score"].to_numpy()
    verdict = report.verdict if names is None else report.verdict.named(names)
    present = table["label"].notna() if "label" in table else np.ones(len(table), bool)
    return Findings(
        kind=report.kind,
        rows=table[present],
        share=Share(report.contamination, *report.contamination_interval, report.probability),
        rate=Share(report.population_rate, *report.population_rate_interval, report.probability),
        verdict=verdict.level,
        reasons=verdict.lines()[1:],
        explanations=verdict.explanations,
        basis=report.note,
        classes=names,
        **parts_of_report(report, names),
        **_shared(given, len(r), r),
    )


def _shared(given: Given, rows: int, r: np.ndarray) -> dict[str, Any]:
    """Return what the caller adds about groups and truth."""
    parts: dict[str, Any] = {"data": given.data}
    if given.by is not None:
        values = _column("by", given.by, rows).astype(object)
        name = getattr(given.by, "name", None)
        parts["group"] = Group(
            name="group" if name is None else str(name),
            values=np.where(pd.isna(values), "unknown", values.astype(str)),
        )
    if isinstance(given.known, KnownFlips):
        parts["truth"] = Truth(
            responsibility=given.known.responsibility,
            contaminated=given.known.flipped,
            how="Some labels were flipped on purpose, and the fit was made from these labels.",
        )
    elif given.known is not None:
        parts["truth"] = Truth(
            responsibility=r,
            contaminated=truth(given.known, rows),
            how="The truth about these rows is known.",
        )
    return parts


def _with_prediction(table: pd.DataFrame, given: Given) -> pd.DataFrame:
    if given.prediction is None:
        return table
    return table.assign(prediction=_column("prediction", given.prediction, len(table)))


def _names(names: Sequence[Any] | None, classes: int) -> list[str]:
    given = range(classes) if names is None else unwrapped(names)
    texts = [str(name) for name in given]
    if len(texts) != classes or len(set(texts)) < classes:
        raise DataError(
            f"names has {len(set(texts))} different names for {classes} classes. Give one name for "
            "each class."
        )
    return texts


def _column(name: str, values: Any, rows: int) -> np.ndarray:
    column = np.asarray(unwrapped(values))
    if column.shape != (rows,):
        raise DataError(f"{name} has shape {column.shape}; expected ({rows},), one for each row.")
    return column
