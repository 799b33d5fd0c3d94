"""The table of flags: every row with its responsibility, the most suspicious first."""

import numpy as np
import pandas as pd

from nbam_pyro.cli.runs.info import RunInfo
from nbam_pyro.estimators.targets import score
from nbam_pyro.inference import Fit, predict, prior_contamination, true_label_posterior
from nbam_pyro.verified import Verified


def flags(
    fit: Fit,
    info: RunInfo,
    x: np.ndarray,
    y: np.ndarray,
    rows: np.ndarray,
    *,
    verified: Verified | None = None,
    fitted: bool = False,
) -> pd.DataFrame:
    """Score rows.

    Args:
        fit: of the run.
        info: of the run.
        x: encoded rows, (N, ...).
        y: targets as their owner wrote them, (N,), missing ones among them.
        rows: what the rows are called, (N,).
        verified: what is verified of them, (N,), if anything is said of that.
        fitted: whether they are the rows that were fitted, for which the fit has better evidence.

    Returns:
        One row per row, sorted: row, label, responsibility, and for labels suggested_label and
        suggested_probability, for measurements prediction. For the rows that were fitted also
        held_out: whether the row only selected epochs, and where something is said of it verified:
        whether anything is known of the row. The index is the order of the data.
    """
    targets, present = info.targets(y)
    known = None if verified is None else verified[present]
    if fitted:
        r = np.empty(len(x))
        r[present] = fit.training.responsibility
        if not present.all():
            r[~present] = prior_contamination(fit, x[~present])
    else:
        r = score(fit, x, targets, present, verified)
    columns = {"row": rows, "label": y, "responsibility": r}
    if info.classes is None:
        columns["prediction"] = predict(fit, x)
    else:
        suggested = predict(fit, x)
        if fitted:
            suggested[present] = fit.training.true_label
        elif present.any():
            suggested[present] = true_label_posterior(fit, x[present], targets, verified=known)
        columns["suggested_label"] = info.classes[suggested.argmax(1)]
        columns["suggested_probability"] = suggested.max(1)
    if fitted:
        held_out = np.zeros(len(x), dtype=bool)
        held_out[present] = fit.held_out
        columns["held_out"] = held_out
    if verified is not None:
        columns["verified"] = verified.known.numpy()
    return pd.DataFrame(columns).sort_values("responsibility", ascending=False, kind="stable")
