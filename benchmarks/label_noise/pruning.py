"""cleanlab: rows with label issues are left out and the network is trained again."""

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
    """Raise a `DataError` that says how to install cleanlab where it is missing."""
    if find_spec("cleanlab") is None:
        raise DataError(
            "the method cleanlab needs the package of that name: pip install 'cleanlab>=2.9'"
        )


def cleanlab(task: Task) -> Outcome:
    """Confident learning by cleanlab's `CleanLearning`, everything at its defaults.

    Probabilities out of five folds, `find_label_issues`, then a network trained on the rows that
    are left, weighted by class. Flags are 1 - label quality. Of each fold's rows, and of those that
    are left, the noisy validation rows only select the epoch, as for every other method.

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
        # learning.py is p(true class), and its noise matrix p(observed | true) has true columns.
        rate=float(1 - (learning.py * np.diag(learning.noise_matrix)).sum()),
        matrix=learning.noise_matrix.T,
    )


class RowClassifier(ClassifierMixin, BaseEstimator):
    """The network of a task as scikit-learn's classifiers are: X are row numbers of its problem."""

    trained_: Trained

    def __init__(self, task: Task) -> None:
        self.task = task

    def __sklearn_clone__(self) -> "RowClassifier":
        # The rows are not copied for every fold.
        return RowClassifier(self.task)

    def fit(self, X: np.ndarray, y: Any, sample_weight: np.ndarray | None = None) -> Any:
        """Train on the rows among them that do not validate; y are their labels in the problem."""
        chosen = np.zeros(len(self.task.problem.labels.clean), dtype=bool)
        chosen[X[:, 0]] = True
        weights = torch.ones(len(chosen))
        if sample_weight is not None:
            weights[X[:, 0]] = torch.as_tensor(sample_weight, dtype=weights.dtype)
        self.classes_ = np.arange(self.task.data.classes)
        self.trained_ = train(self.task, Weighted(weights), chosen=chosen)
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """p(class | x) of rows of the problem, (N, K)."""
        return probabilities(self.task, self.trained_.network, self.task.problem.x[X[:, 0]])

    def predict(self, X: np.ndarray) -> np.ndarray:
        """The most probable classes."""
        return self.predict_proba(X).argmax(1)
