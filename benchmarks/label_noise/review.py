"""Answers of a person about some rows, in several orders: what they change after another fit."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, final

import numpy as np
import pandas as pd
import typer
from sklearn.metrics import brier_score_loss
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from benchmarks.benchmark import Case, Row
from benchmarks.label_noise.answers import Answered, fitted
from benchmarks.label_noise.problems import DATASETS, DataSet
from benchmarks.label_noise.pruning import RowClassifier, require_cleanlab
from benchmarks.label_noise.training import Task
from benchmarks.options import Names, Seeds
from nbam_pyro import Fit
from nbam_pyro.decisions import flags, review_queue
from nbam_pyro.inference import predict
from nbam_pyro.training.contexts import seeded

__all__ = ["Review"]

_FOLDS = 5
_LEVEL = 0.05
_NONE = "no answers"
_ORDERS = ("flags", "responsibility", "random", "loss", "cleanlab")
# Orders that need predictions of networks that did not see the row.
_PREDICTED = ("loss", "cleanlab")


@final
@dataclass(frozen=True, kw_only=True)
class Review(Answered):
    """Wrong labels left in a cleaned table after answers in several orders and another fit."""

    orders: Annotated[
        Names,
        typer.Option(parser=Names.among(_ORDERS), metavar="NAME,...", help="Orders to measure."),
    ] = Names(_ORDERS)
    rate: Annotated[float, typer.Option(min=0, max=1, help="Flipped share of five classes.")] = 0.4
    answers: Annotated[int, typer.Option(min=1, help="Number of rows that are answered.")] = 500
    seeds: Seeds = 1

    def _flipping(self, name: str) -> DataSet:
        return DATASETS[name]

    def _methods(self) -> Sequence[str]:
        return (_NONE, *self.orders)

    def _settings(self) -> dict[str, object]:
        return {"answers": self.answers}

    def _rows(self, task: Task, cases: Sequence[Case]) -> Iterator[Row]:
        methods = {case.method for case in cases}
        if "cleanlab" in methods:
            require_cleanlab()
        p = _out_of_fold(task) if methods & set(_PREDICTED) else None
        first = fitted(task)
        for case in cases:
            if case.method == _NONE:
                yield _judged(task, first, case, np.zeros(0, dtype=int))
                continue
            count = min(self.answers, len(task.problem.labels.clean))
            chosen = _chosen(case.method, first, task, p, count=count)
            yield _judged(task, fitted(task, chosen), case, chosen)

    @staticmethod
    def summary(rows: pd.DataFrame) -> str:
        """Return means over seeds by data set and order."""
        columns = ["wrong_left", "false_flags", "found", "brier", "accuracy"]
        return rows.groupby(["data", "method"], sort=False)[columns].mean().round(4).to_string()


def _chosen(order: str, first: Fit, task: Task, p: np.ndarray | None, *, count: int) -> np.ndarray:
    """Return the first rows in an order, (count,).

    Args:
        order: Name of the order.
        first: Fit without answers.
        task: Noisy labels.
        p: Out-of-sample probabilities, (N, K), for the orders that need them.
        count: Number of rows.
    """
    if p is not None and order in _PREDICTED:
        return _predicted_order(order, task.problem.labels.observed, p)[:count]
    if order == "random":
        return np.random.default_rng(task.seed).permutation(len(task.problem.labels.clean))[:count]
    goal: dict[str, Any] = {"goal": "flags"} if order == "flags" else {}
    chosen: np.ndarray = review_queue(first, budget=count, **goal)["row"].to_numpy()
    return chosen


def _predicted_order(order: str, y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Return all rows by their loss, or as cleanlab ranks them."""
    if order == "loss":
        return p[np.arange(len(y)), y].argsort(kind="stable")
    from cleanlab.rank import get_label_quality_scores  # type: ignore[import-not-found]

    ranked = get_label_quality_scores(y, p).argsort(kind="stable")
    issues = _issues(y, p)
    return np.concatenate([issues, ranked[~np.isin(ranked, issues)]])


def _issues(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Rows with label issues by confident learning, in the order that cleanlab recommends."""
    from cleanlab.filter import find_label_issues  # type: ignore[import-not-found]

    found: np.ndarray = find_label_issues(
        y, p, return_indices_ranked_by="self_confidence", n_jobs=1
    )
    return found


def _out_of_fold(task: Task) -> np.ndarray:
    """Probabilities of the plain network out of five folds, (N, K)."""
    y = task.problem.labels.observed
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=task.seed)
    with seeded(task.seed, devices=True):
        p: np.ndarray = cross_val_predict(
            RowClassifier(task), np.arange(len(y))[:, None], y, cv=folds, method="predict_proba"
        )
    return p


def _judged(task: Task, found: Fit, case: Case, chosen: np.ndarray) -> Row:
    truth = task.problem.labels.contaminated
    r = found.training_rows.responsibility
    flagged = flags(r, fdr=_LEVEL).flagged
    p = predict(found, task.problem.x_test)
    figures = {
        "wrong": int(truth.sum()),
        "found": int(truth[chosen].sum()),
        "wrong_left": int((truth & ~flagged).sum()),
        "false_flags": int((~truth & flagged).sum()),
        "brier": float(brier_score_loss(truth, r)),
        "accuracy": float((p.argmax(1) == task.problem.y_test).mean()),
    }
    return Row(
        case=case, figures=figures, notes={"verdict": found.verdict.level}, device=task.device
    )
