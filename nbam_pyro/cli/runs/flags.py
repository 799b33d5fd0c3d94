"""The table of flags: every row with its responsibility, the most suspicious first."""

import numpy as np
import pandas as pd

from nbam_pyro.cli.runs.info import RunInfo
from nbam_pyro.estimators.targets import Targets, score
from nbam_pyro.inference import Fit, predict, prior_contamination, true_label_posterior


def flags(
    fit: Fit,
    info: RunInfo,
    x: np.ndarray,
    targets: Targets,
    rows: np.ndarray,
    *,
    fitted: bool = False,
) -> pd.DataFrame:
    """Score rows and make the table of flags.

    Args:
        fit: Fit of the run.
        info: Description of the data of the run.
        x: Encoded features, (N, ...).
        targets: Targets of the N rows.
        rows: Names of the rows, (N,).
        fitted: True if these rows are the training rows. Their posteriors are then taken from the
            fit; the default recipe for labels cross-fits them.

    Returns:
        A table of N rows, sorted by responsibility. Its index is the order of the data. Columns:
        row, label, responsibility; for labels suggested_label and suggested_probability; for
        measurements prediction; for training rows held_out (True if the row was used only to select
        epochs). If verified values are given, there is also a column verified (True if the row is
        verified).
    """
    present = targets.present
    if fitted:
        r = np.empty(len(x))
        r[present] = fit.training_rows.responsibility
        if not present.all():
            r[~present] = prior_contamination(fit, x[~present])
    else:
        r = score(fit, x, targets)
    columns = {"row": rows, "label": targets.column.cells, "responsibility": r}
    if info.classes is None:
        columns["prediction"] = predict(fit, x)
    else:
        suggested = predict(fit, x)
        if fitted:
            suggested[present] = fit.training_rows.true_label
        elif present.any():
            suggested[present] = true_label_posterior(
                fit, x[present], targets.codes, verified=targets.verified_present
            )
        columns["suggested_label"] = info.classes[suggested.argmax(1)]
        columns["suggested_probability"] = suggested.max(1)
    if fitted:
        held_out = np.zeros(len(x), dtype=bool)
        held_out[present] = fit.held_out
        columns["held_out"] = held_out
    if len(targets.verified):
        columns["verified"] = targets.verified.known.numpy()
    return pd.DataFrame(columns).sort_values("responsibility", ascending=False, kind="stable")
