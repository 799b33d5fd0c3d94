"""Predicted probabilities of the plain network, out of fold, without any training on top."""

import warnings

import numpy as np
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from benchmarks.label_noise.figures import Outcome
from benchmarks.label_noise.pruning import RowClassifier
from benchmarks.label_noise.training import Task
from nbam_pyro import from_pred_probs
from nbam_pyro.errors import CannotTellWarning

# Folds, as in cleanlab.
_FOLDS = 5


def pred_probs(task: Task) -> Outcome:
    """Return the report of `from_pred_probs` on out-of-fold probabilities of cross-entropy."""
    labels = task.problem.labels.observed
    rows = np.arange(len(labels))[:, None]
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=task.seed)
    p = cross_val_predict(RowClassifier(task), rows, labels, cv=folds, method="predict_proba")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CannotTellWarning)
        report = from_pred_probs(labels, p)
    low, high = report.contamination_interval
    return Outcome(
        flags=report.rows["responsibility"].to_numpy(),
        rate=report.contamination,
        interval=(low, high),
        verdict=report.verdict.level,
    )
