"""The figures of a run that a person wants to know first."""

from typing import Any

import numpy as np
import pandas as pd
import torch

from nbam_pyro.estimators.targets import column
from nbam_pyro.inference import (
    Fit,
    contaminated_share,
    transition_matrix,
    true_label_posterior,
)
from nbam_pyro.runs.info import RunInfo
from nbam_pyro.verified import Verified

# A direction is told if its interval excludes this rate and at least one row is expected to go it.
_RARE = 0.01


def summarise(
    fit: Fit,
    info: RunInfo,
    x: np.ndarray,
    y: np.ndarray,
    table: pd.DataFrame,
    *,
    verified: Verified | None = None,
) -> dict[str, Any]:
    """How much, which directions, how sure.

    Args:
        fit: of the run.
        info: of the run.
        x: encoded rows, (N, ...).
        y: targets as their owner wrote them, (N,).
        table: from `flags`.
        verified: what is verified of the rows, (N,), if anything is said of that.
    """
    targets, present = info.targets(y)
    known = None if verified is None else verified[present]
    share = contaminated_share(fit, x[present], targets, verified=known)
    r = table.sort_index()["responsibility"].to_numpy()[present]
    flagged = r > 0.5
    return {
        "data": info.data,
        "label": info.label,
        "task": "regression" if info.classes is None else "classification",
        "rows": len(x),
        "labelled": int(present.sum()),
        "contamination": vars(share),
        **({} if known is None else {"verified": _verified(targets, known)}),
        "flagged": int(flagged.sum()),
        "flagged_wrong": float(r[flagged].sum()),
        "sure": int((r > 0.9).sum()),
        "doubtful": int(((r > 0.1) & (r < 0.9)).sum()),
        "collapse": str(fit.collapse) if fit.collapse and fit.collapse.collapsed else None,
        **(
            _measurements(fit, table.sort_index()[present], column(y)[0], flagged)
            if info.classes is None
            else {
                "classes": len(info.classes),
                **_directions(fit, info.classes, x[present], targets, known),
            }
        ),
    }


def _verified(targets: np.ndarray, verified: Verified) -> dict[str, int]:
    switch = verified.switch(torch.as_tensor(targets))
    return {"clean": int((switch == 0).sum()), "contaminated": int((switch == 1).sum())}


def _true_labels(targets: np.ndarray, verified: Verified | None, classes: int) -> np.ndarray:
    """How many true labels of each class are verified, (K,)."""
    if verified is None:
        return np.zeros(classes, dtype=int)
    labels = verified.label(torch.as_tensor(targets)).numpy()
    return np.bincount(labels[labels >= 0], minlength=classes)


def _directions(
    fit: Fit,
    classes: np.ndarray,
    x: np.ndarray,
    targets: np.ndarray,
    verified: Verified | None,
) -> dict[str, Any]:
    """Flips by expected number of rows, largest first."""
    matrix = transition_matrix(fit)
    joint = np.zeros_like(matrix.mean)
    np.add.at(joint.T, targets, true_label_posterior(fit, x, targets, verified=verified))
    known = _true_labels(targets, verified, len(classes))
    pairs = np.argwhere((matrix.low > _RARE) & (joint >= 1) & ~np.eye(len(joint), dtype=bool))
    found = [
        {
            "true": classes[c].item(),
            "observed": classes[o].item(),
            "rate": float(matrix.mean[c, o]),
            "low": float(matrix.low[c, o]),
            "high": float(matrix.high[c, o]),
            "rows": float(joint[c, o]),
            "verified": int(known[c]),
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
