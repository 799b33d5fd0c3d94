"""The report on the training rows, as every saved detector stores it."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from torch import Tensor

from nbam_pyro.detection.schema import SavedReport
from nbam_pyro.outputs.contamination_report import ContaminationReport
from nbam_pyro.outputs.scores.curve import ScoreCurve
from nbam_pyro.outputs.scores.fitting import shares_before
from nbam_pyro.storage.tensors import saved_tensor

__all__ = ["UNBOUNDED", "is_curve", "loaded_report", "report_arrays", "report_entries"]

UNBOUNDED = ("curve.starts",)
"""Tensors that may hold infinity: the first step of a curve has no lower end."""

_DRAWS = ("contamination", "population_rate")
_CURVE = ("starts", "responsibility")


def report_entries(report: ContaminationReport) -> dict[str, Any]:
    """Return the parts of a report that are not arrays, for `SavedReport`.

    Args:
        report: Report on the training rows.
    """
    return {
        "verdict": asdict(report.verdict),
        "note": report.note,
        "probability": report.probability,
    }


def report_arrays(report: ContaminationReport) -> dict[str, np.ndarray]:
    """Return the arrays of a report by name, except the scores of the training rows.

    Args:
        report: Report on the training rows.
    """
    return {
        "responsibility": report.rows["responsibility"].to_numpy(copy=True),
        **{f"draws.{name}": report.posterior[name].to_numpy().copy() for name in _DRAWS},
        **{f"curve.{name}": getattr(report.curve, name) for name in _CURVE},
    }


def loaded_report(
    saved: SavedReport, tensors: Mapping[str, Tensor], *, scores: np.ndarray
) -> ContaminationReport:
    """Return the report that a saved detector contains.

    Args:
        saved: Parts that are not arrays.
        tensors: Tensors by name.
        scores: Scores of the training rows, (N,).

    Raises:
        FolderError: A tensor is missing.
    """
    columns = {"score": scores, "responsibility": saved_tensor(tensors, "responsibility").numpy()}
    draws = {name: ("draw", saved_tensor(tensors, f"draws.{name}").numpy()) for name in _DRAWS}
    return ContaminationReport(
        kind="scores",
        rows=pd.DataFrame(columns),
        posterior=xr.Dataset(draws),
        prior=xr.Dataset({"contamination": ("draw", shares_before(len(scores)))}),
        verdict=saved.verdict,
        note=saved.note,
        probability=saved.probability,
        curve=ScoreCurve(**{n: saved_tensor(tensors, f"curve.{n}").numpy() for n in _CURVE}),
    )


def is_curve(curve: ScoreCurve | None) -> bool:
    """Return whether the steps of a loaded curve match.

    Args:
        curve: Curve of a loaded report.
    """
    return (
        curve is not None
        and curve.starts.ndim == 1
        and curve.starts.shape == curve.responsibility.shape
        and bool(np.isneginf(curve.starts[:1]).all() and len(curve.starts))
    )
