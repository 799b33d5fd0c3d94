"""The main results of a run, for summary.json."""

from typing import Any

import numpy as np
import pandas as pd
import torch

from nbam_pyro.cli.runs.info import RunInfo
from nbam_pyro.cli.runs.verdict import verdict_entries
from nbam_pyro.estimators.targets import Targets
from nbam_pyro.inference import (
    Fit,
    transition_matrix,
)
from nbam_pyro.verified import Verified

# A direction is listed if its rate is surely above this and at least one row is expected in it.
_RARE = 0.01


def summarise(fit: Fit, info: RunInfo, targets: Targets, table: pd.DataFrame) -> dict[str, Any]:
    """Summarise the share of wrong targets, the verdict, the flips of labels and the flags.

    Args:
        fit: Fit of the run.
        info: Description of the data of the run.
        targets: Targets of the training rows.
        table: Table of flags of the training rows, from `flags`.

    Returns:
        The content of summary.json, except for notes and seconds.
    """
    share, rate = fit.training_rows.share, fit.training_rows.population_rate
    present, verified = targets.present, targets.verified_present
    r = table.sort_index()["responsibility"].to_numpy()[present]
    flagged = r > 0.5
    return {
        "data": info.data,
        "label": info.label,
        "task": "regression" if info.classes is None else "classification",
        "rows": len(present),
        "labelled": int(present.sum()),
        "contamination": share.mean,
        "contamination_low": share.low,
        "contamination_high": share.high,
        "contamination_probability": share.probability,
        "population_rate": rate.mean,
        "population_rate_low": rate.low,
        "population_rate_high": rate.high,
        **verdict_entries(fit.verdict, None if info.classes is None else info.classes.tolist()),
        "evidence": fit.training_rows.evidence,
        **({} if not len(verified) else {"verified": _verified(targets.codes, verified)}),
        "flagged": int(flagged.sum()),
        "flagged_wrong": float(r[flagged].sum()),
        "sure": int((r > 0.9).sum()),
        "doubtful": int(((r > 0.1) & (r < 0.9)).sum()),
        "collapse": str(fit.collapse) if fit.collapse and fit.collapse.collapsed else None,
        **(
            _measurements(fit, table.sort_index()[present], targets.column.values, flagged)
            if info.classes is None
            else {
                "classes": len(info.classes),
                "disagreement": (
                    None if fit.label_evidence is None else fit.label_evidence.disagreement
                ),
                **_directions(fit, info.classes, targets.codes),
            }
        ),
    }


def _verified(codes: np.ndarray, verified: Verified) -> dict[str, int]:
    switch = verified.switch(torch.as_tensor(codes))
    return {"clean": int((switch == 0).sum()), "contaminated": int((switch == 1).sum())}


def _directions(fit: Fit, classes: np.ndarray, codes: np.ndarray) -> dict[str, Any]:
    """Directions of flips, sorted by the expected number of rows, largest first."""
    matrix = transition_matrix(fit)
    joint = np.zeros_like(matrix.mean)
    if fit.training_rows.true_label is not None:
        np.add.at(joint.T, codes, fit.training_rows.true_label)
    pairs = np.argwhere((matrix.low > _RARE) & (joint >= 1) & ~np.eye(len(joint), dtype=bool))
    found = [
        {
            "true": classes[c].item(),
            "observed": classes[o].item(),
            "rate": float(matrix.mean[c, o]),
            "low": float(matrix.low[c, o]),
            "high": float(matrix.high[c, o]),
            "rows": float(joint[c, o]),
        }
        for c, o in pairs
    ]
    return {"directions": sorted(found, key=lambda one: -one["rows"])}


def _measurements(
    fit: Fit, table: pd.DataFrame, y: np.ndarray, flagged: np.ndarray
) -> dict[str, Any]:
    error = y - table["prediction"].to_numpy()
    return {
        "flagged_above": int((error[flagged] > 0).sum()),
        "flagged_error": float(np.median(np.abs(error[flagged]))) if flagged.any() else None,
        "clean_error": float(np.sqrt((error[~flagged] ** 2).mean())) if (~flagged).any() else None,
    }
