"""The table of flags: every row with its responsibility, the most suspicious first."""

from typing import Any

import numpy as np
import pandas as pd

from nbam_pyro.cli.runs.info import RunInfo
from nbam_pyro.estimators.targets import Targets, score
from nbam_pyro.inference import Fit, predict, prior_contamination
from nbam_pyro.inference.posterior.row_posteriors import label_scores


def flags(
    fit: Fit,
    info: RunInfo,
    x: np.ndarray,
    targets: Targets,
    rows: np.ndarray,
    *,
    fitted: bool = False,
) -> pd.DataFrame:
    """Score rows and make the table of flags, with the most suspicious rows first.

    The arguments and columns are those of `row_table`.

    Returns:
        A table of N rows, sorted by responsibility. Its index is the order of the data.
    """
    table = row_table(fit, info, x, targets, rows, fitted=fitted)
    return table.sort_values("responsibility", ascending=False, kind="stable")


def row_table(
    fit: Fit,
    info: RunInfo,
    x: np.ndarray,
    targets: Targets,
    rows: np.ndarray,
    *,
    fitted: bool = False,
) -> pd.DataFrame:
    """Score rows, and return a table in their order.

    Args:
        fit: Fit of the run.
        info: Description of the data of the run.
        x: Encoded features, (N, ...).
        targets: Targets of the N rows.
        rows: Names of the rows, (N,).
        fitted: True if these rows are the training rows. Their posteriors are then taken from the
            fit; the default recipe for labels cross-fits them.

    Returns:
        A table of N rows. Columns: row, label, responsibility; for labels suggested_label and
        suggested_probability; for measurements prediction; for training rows held_out (True if the
        row was used only to select epochs). If verified values are given, there is also a column
        verified (True if the row is verified).
    """
    present = targets.present
    columns: dict[str, Any] = {"row": rows, "label": targets.column.cells}
    if info.classes is None:
        columns["responsibility"] = _trained(fit, x, present) if fitted else score(fit, x, targets)
        columns["prediction"] = predict(fit, x)
    else:
        r, suggested = _labels(fit, x, targets, fitted=fitted)
        columns["responsibility"] = r
        columns["suggested_label"] = info.classes[suggested.argmax(1)]
        columns["suggested_probability"] = suggested.max(1)
    if fitted:
        held_out = np.zeros(len(x), dtype=bool)
        held_out[present] = fit.held_out
        columns["held_out"] = held_out
    if len(targets.verified):
        columns["verified"] = targets.verified.known.numpy()
    return pd.DataFrame(columns)


def _trained(fit: Fit, x: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Return the responsibilities of training rows, and P(z=1 | x) of rows without a target."""
    r = np.empty(len(x))
    r[present] = fit.training_rows.responsibility
    if not present.all():
        r[~present] = prior_contamination(fit, x[~present])
    return r


def _labels(
    fit: Fit, x: np.ndarray, targets: Targets, *, fitted: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return responsibilities, (N,), and probabilities of the true classes, (N, K).

    Rows without a label have P(z=1 | x) and p(c | x).
    """
    present = targets.present
    trained = fit.training_rows
    if fitted and trained.true_label is not None:
        found = trained.responsibility, trained.true_label
    elif present.any():
        found = label_scores(fit, x[present], targets.codes, verified=targets.verified_present)
    if present.all():
        return found
    r, suggested = np.empty(len(x)), predict(fit, x)
    r[~present] = prior_contamination(fit, x[~present])
    if present.any():
        r[present], suggested[present] = found
    return r, suggested
