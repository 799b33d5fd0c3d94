"""The report of a detector on its training rows, and the threshold that follows from it."""

from dataclasses import replace
from typing import Any, Literal

import numpy as np
from torch import Tensor

from nbam_pyro.detection.thresholds import threshold_of, threshold_of_responsibilities
from nbam_pyro.outputs.contamination_report import ContaminationReport
from nbam_pyro.outputs.scores.curve import ScoreCurve
from nbam_pyro.outputs.scores.from_scores import from_scores

__all__ = ["report_on", "set_report", "threshold_from"]


def report_on(shape: np.ndarray, scores: np.ndarray, codes: Tensor) -> ContaminationReport:
    """Return the report of `from_scores` on the training rows, with the scores of the detector.

    Args:
        shape: Values in the order of the scores, whose distances have a meaning, (N,).
        scores: Scores of the detector, (N,).
        codes: Integer codes of verified rows, (N,).
    """
    report = from_scores(shape, verified=codes)
    return replace(
        report,
        rows=report.rows.assign(score=scores),
        curve=ScoreCurve.through(scores, report.responsibility_of(shape)),
    )


def set_report(detector: Any, report: ContaminationReport) -> None:
    """Set the attributes of a detector that come from its report.

    Args:
        detector: Detector.
        report: Report on its training rows.
    """
    detector.report_, detector.verdict_ = report, report.verdict
    detector.contamination_ = report.contamination
    detector.contamination_interval_ = report.contamination_interval
    detector.population_rate_ = report.population_rate
    detector.population_rate_interval_ = report.population_rate_interval


def threshold_from(report: ContaminationReport, contamination: float | Literal["auto"]) -> float:
    """Return the score above which a row is flagged.

    If a share is given, this share of the rows is flagged. Otherwise rows are flagged whose scores
    are more probably those of anomalies than not, for a row that nobody has verified.

    Args:
        report: Report on the training rows, with the scores of the detector.
        contamination: Given share of anomalies, or "auto".
    """
    scores = report.rows["score"].to_numpy()
    if contamination != "auto":
        return threshold_of(scores, contamination)
    return threshold_of_responsibilities(scores, report.responsibility_of(scores))
