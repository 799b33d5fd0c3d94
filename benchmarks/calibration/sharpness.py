"""Coverage, scores and calibration of `from_pred_probs` on tables and classifiers it has not seen.

Five classifiers give out-of-sample probabilities on ten check tables, with right labels and with
three kinds of flips at random rates. The prior of the sharpness was fitted to other tables and
other classifiers (benchmarks/calibration/sharpness_prior.py).
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, final

import numpy as np
import pandas as pd
import typer

from benchmarks.benchmark import CPU, Benchmark, Case, Row
from benchmarks.calibration.predictions import Cache, check, unmeasured
from benchmarks.label_noise.pruning import require_cleanlab
from benchmarks.options import DataRoot, given
from nbam_pyro import ContaminationReport, from_pred_probs

__all__ = ["Sharpness"]

_PROBABILITY = 0.9
_BINS = 10
_BOOTSTRAPS = 50


def judged(true: np.ndarray, labels: np.ndarray, p: np.ndarray) -> tuple[dict[str, float], str]:
    """Return figures of the report and of cleanlab, and the level of the verdict.

    Args:
        true: True classes, (N,).
        labels: Observed labels, (N,).
        p: Predicted probabilities, (N, K).
    """
    wrong = true != labels
    report = from_pred_probs(labels, p, probability=_PROBABILITY)
    low, high = report.contamination_interval
    below, above = cleanlab_interval(labels, p)
    share = float(wrong.mean())
    figures = {
        "true_share": share,
        "accuracy": float((p.argmax(1) == true).mean()),
        "contamination": report.contamination,
        "low": low,
        "high": high,
        "covered": float(low <= share <= high),
        "score": interval_score(low, high, share),
        "score_fixed": interval_score(0.0, 0.5, share),
        "score_cleanlab": interval_score(below, above, share),
        "brier_plain": float(((1 - p[np.arange(len(labels)), labels] - wrong) ** 2).mean()),
        **calibration(report, wrong),
    }
    return figures, report.verdict.level


def calibration(report: ContaminationReport, wrong: np.ndarray) -> dict[str, float]:
    """Return Brier score, expected calibration error and share of rows above .9.

    Args:
        report: Report of labels.
        wrong: Whether each label is wrong, (N,).
    """
    r = report.rows["responsibility"].to_numpy()
    bins = np.minimum((r * _BINS).astype(int), _BINS - 1)
    gaps = np.bincount(bins, r - wrong, minlength=_BINS)
    return {
        "brier": float(((r - wrong) ** 2).mean()),
        "ece": float(np.abs(gaps).sum() / len(r)),
        "above": float((r > 0.9).mean()),
        "right_above": float(((r > 0.9) & ~wrong).mean()),
    }


def interval_score(low: float, high: float, share: float) -> float:
    """Return the interval score of Gneiting & Raftery (2007); less is better.

    Args:
        low: Lower end of the interval.
        high: Upper end.
        share: True share.
    """
    outside = max(low - share, 0.0) + max(share - high, 0.0)
    return high - low + 2 / (1 - _PROBABILITY) * outside


def cleanlab_interval(labels: np.ndarray, p: np.ndarray) -> tuple[float, float]:
    """Return a bootstrap interval of cleanlab's share of wrong labels.

    Args:
        labels: Observed labels, (N,).
        p: Predicted probabilities, (N, K).
    """
    from cleanlab.count import estimate_joint  # type: ignore[import-not-found]

    rng = np.random.default_rng(0)
    shares = []
    for _ in range(_BOOTSTRAPS):
        rows = rng.integers(len(labels), size=len(labels))
        if len(np.unique(labels[rows])) < p.shape[1]:
            continue
        shares.append(1 - np.trace(estimate_joint(labels[rows], p[rows])))
    tail = (1 - _PROBABILITY) / 2
    low, high = np.quantile(shares, [tail, 1 - tail]) if shares else (0.0, 1.0)
    return float(low), float(high)


@final
@dataclass(frozen=True, kw_only=True)
class Sharpness(Benchmark):
    """Intervals and responsibilities of `from_pred_probs` on tables and classifiers not seen."""

    draws: Annotated[int, typer.Option(min=1, help="Draws of each combination.")] = 1
    data_root: DataRoot = None
    cache: Cache = Path("cache")

    def measure(self, known: Collection[Case]) -> Iterator[Row]:
        """Yield the figures of every check design."""
        require_cleanlab()
        root = given(self.data_root)
        for case, design in unmeasured(check(self.draws), known, self.cache):
            figures, level = judged(*design.predicted(root, self.cache))
            yield Row(
                case=case,
                figures=figures,
                notes={"level": level},
                device=CPU,
                packages={"cleanlab": version("cleanlab")},
            )

    @staticmethod
    def summary(rows: pd.DataFrame) -> str:
        """Return means over all cases, by verdict, by flips, by table and by classifier."""
        rows = rows.assign(width=rows["high"] - rows["low"], all="all", number=1.0)
        parts = [
            _means(rows, by) for by in ("all", "level", "flips", "data", "method") if by in rows
        ]
        return "\n\n".join(parts)


def _means(rows: pd.DataFrame, by: Any) -> str:
    names = [
        "true_share",
        "contamination",
        "covered",
        "width",
        "score",
        "score_fixed",
        "score_cleanlab",
        "brier",
        "brier_plain",
        "ece",
        "above",
        "right_above",
    ]
    grouped = rows.groupby(by)
    return grouped["number"].sum().to_frame().join(grouped[names].mean().round(4)).to_string()
