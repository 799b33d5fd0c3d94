"""Estimates of which rows are anomalies, and how many, from the scores of any detector."""

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from nbam_pyro.checks.containers import unwrapped
from nbam_pyro.outputs.contamination_report import ContaminationReport
from nbam_pyro.outputs.intervals import check_probability
from nbam_pyro.outputs.scores.cells import cells_of
from nbam_pyro.outputs.scores.curve import ScoreCurve, checked_scores
from nbam_pyro.outputs.scores.fitting import fit_scores, shares_before
from nbam_pyro.outputs.scores.lone import lone_scores
from nbam_pyro.outputs.scores.shape import Shape
from nbam_pyro.outputs.scores.wording import scores_note, scores_verdict
from nbam_pyro.outputs.switch_codes import switch_codes

__all__ = ["from_scores"]


def from_scores(
    scores: Any, *, verified: Any = None, probability: float = 0.9, seed: int = 0
) -> ContaminationReport:
    r"""Estimate anomalies and their share from the scores of any anomaly detector.

    The story: each row is normal or an anomaly. Scores of normal rows have one skewed bulk, scores
    of visible anomalies lie above it, and hidden anomalies score like normal rows (`Shape`). Two
    models are fitted by sequential Monte Carlo, one without and one with visible anomalies. Results
    are averages over both models, weighted by their evidence. The responsibility of a row with
    score s is

    .. math:: r(s) = \sum_{M} P(M | \text{scores})\, E[P(z=1 | s, \theta) | M, \text{scores}].

    M is one of the two models, theta are its unknown numbers, and z = 1 means an anomaly. Scores of
    normal rows often have a heavy tail. A tail alone says little about anomalies, and the verdict
    is then "cannot tell". A few scores that lie far above all others are judged by the gap below
    them (`lone_scores`), which can raise their responsibilities. Verified rows show how many
    anomalies there are at each score.

    The result depends only on the order and the relative distances of scores: rows may be in any
    order, and scores may be shifted or multiplied by a positive number.

    Args:
        scores: Scores, (N,), high for anomalies. The detector should not have been trained on the
            rows that it scores. An array, a list, a tensor, or a column of pandas, polars or
            pyarrow.
        verified: Codes of verified rows, (N,): 1 for an anomaly, 0 for a normal row, and -1, NaN or
            None where nothing is verified. A `nbam_pyro.Verified` without true labels works too.
            None if nothing is verified. Rows may be chosen by their scores, or at random.
        probability: Posterior probability that each interval contains, in (0, 1).
        seed: Seed for the draws.

    Returns:
        A `ContaminationReport` of kind "scores". Its rows have the columns "score" and
        "responsibility". The responsibility of a verified row is 0 or 1. Its method
        `responsibility_of` takes scores of new rows.

    Raises:
        DataError: Scores are not a sequence of finite numbers, a code of a verified row is wrong,
            or `probability` is not in (0, 1).

    Source: Efron (2004) estimates the share of non-null statistics by their shape; Perini, Bürkner
    & Klami (2023) estimate a detector's share with a mixture of its scores; Miller & Dunson (2019)
    bound the number of rows that a likelihood counts where its family is not exact.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> report = from_scores(np.r_[rng.normal(size=450), rng.normal(9, 1, 50)])
        >>> report.verdict.level, bool(0.09 < report.contamination < 0.12)
        ('identified', True)
    """
    check_probability(probability)
    plain = unwrapped(scores)
    values = checked_scores(plain)
    codes = switch_codes(verified, len(values)).numpy()
    lone = lone_scores(values)
    cells = cells_of(values, lone=lone.count)
    normal, anomalous = (
        np.bincount(cells.of_row[codes == code], minlength=len(cells.counts)) for code in (0, 1)
    )
    shape = Shape(cells=cells, normal=normal, anomalous=anomalous)
    found = fit_scores(shape, lone=lone, seed=seed)
    unverified = found.responsibility[cells.of_row]
    responsibility = np.where(codes >= 0, codes, unverified)
    draws = {"contamination": found.contamination, "population_rate": found.population_rate}
    tail = (1 - probability) / 2
    low, high = np.quantile(found.contamination, [tail, 1 - tail])
    repeats = np.unique(values, return_counts=True)[1]
    verdict = scores_verdict(
        found,
        rows=len(values),
        verified=int((codes >= 0).sum()),
        different=len(repeats),
        tied=float(repeats.max() / len(values)),
        interval=(float(low), float(high)),
        probability=probability,
    )
    index = plain.index if isinstance(plain, pd.Series) else pd.RangeIndex(len(values))
    return ContaminationReport(
        kind="scores",
        rows=pd.DataFrame({"score": values, "responsibility": responsibility}, index=index),
        posterior=xr.Dataset({name: ("draw", drawn) for name, drawn in draws.items()}),
        prior=xr.Dataset({"contamination": ("draw", shares_before(len(values)))}),
        verdict=verdict,
        note=scores_note(verified=codes),
        probability=probability,
        curve=ScoreCurve.through(values, unverified),
    )
