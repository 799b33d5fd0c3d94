"""cleanlab: the network is trained again without rows that have label issues."""

from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin

from benchmarks.label_noise.figures import Outcome
from benchmarks.label_noise.losses import Weighted
from benchmarks.label_noise.training import Task, Trained, probabilities, train
from nbam_pyro.errors import DataError


def require_cleanlab() -> None:
    """Raise a `DataError` with the install command if cleanlab is not installed."""
    if find_spec("cleanlab") is None:
        raise DataError("The package cleanlab is not installed. Run: pip install 'cleanlab>=2.9'")


def cleanlab(task: Task) -> Outcome:
    """Confident learning with cleanlab's `CleanLearning` and its defaults.

    `CleanLearning` computes probabilities from five folds and calls `find_label_issues`. Then it
    trains a network on the remaining rows, weighted by class. Flags are 1 - label quality. In each
    run the noisy validation rows only select the epoch, as for all other methods.

    Source: Northcutt, Jiang & Chuang (JAIR 2021).
    """
    require_cleanlab()
    from cleanlab.classification import CleanLearning  # type: ignore[import-not-found]

    labels = task.problem.labels.observed
    rows = np.arange(len(labels))[:, None]
    learning = CleanLearning(
        RowClassifier(task), seed=task.seed, find_label_issues_kwargs={"n_jobs": 1}
    )
    learning.fit(rows, labels)
    trained = learning.clf.trained_
    return Outcome(
        flags=1 - learning.get_label_issues()["label_quality"].to_numpy(),
        last=probabilities(task, trained.at_last(), task.problem.x_test),
        selected=probabilities(task, trained.network, task.problem.x_test),
        # learning.py is p(true class). The columns of its noise matrix are true classes.
        rate=float(1 - (learning.py * np.diag(learning.noise_matrix)).sum()),
        matrix=learning.noise_matrix.T,
    )


class RowClassifier(ClassifierMixin, BaseEstimator):
    """scikit-learn classifier with the network of a task. X contains row indices."""

    trained_: Trained

    def __init__(self, task: Task) -> None:
        self.task = task

    def __sklearn_clone__(self) -> "RowClassifier":
        # The rows are not copied for every fold.
        return RowClassifier(self.task)

    def fit(self, X: np.ndarray, y: Any, sample_weight: np.ndarray | None = None) -> Any:
        """Train on the given rows. Labels come from the problem; `y` is not used."""
        chosen = np.zeros(len(self.task.problem.labels.clean), dtype=bool)
        chosen[X[:, 0]] = True
        weights = torch.ones(len(chosen))
        if sample_weight is not None:
            weights[X[:, 0]] = torch.as_tensor(sample_weight, dtype=weights.dtype)
        self.classes_ = np.arange(self.task.data.classes)
        self.trained_ = train(self.task, Weighted(weights), chosen=chosen)
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return p(class | x) of the given rows of the problem, (N, K)."""
        return probabilities(self.task, self.trained_.network, self.task.problem.x[X[:, 0]])

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return the most probable class of each given row, (N,)."""
        return self.predict_proba(X).argmax(1)
