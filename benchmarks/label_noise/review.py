"""Answers of a person about some rows, in several orders: what they change after another fit."""

import warnings
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any, final

import numpy as np
import pandas as pd
import torch
import typer
from sklearn.metrics import brier_score_loss
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from benchmarks.benchmark import Benchmark, Case, Row
from benchmarks.label_noise.nbam import fit_story
from benchmarks.label_noise.problems import DATASETS, DataSet, Problem, make_problem
from benchmarks.label_noise.pruning import RowClassifier, require_cleanlab
from benchmarks.label_noise.training import Task
from benchmarks.options import DataRoot, Device, Epochs, FirstSeed, Names, Seeds, best_device
from nbam_pyro import Fit, LabelFlip, Verified
from nbam_pyro.decisions import flags, review_queue
from nbam_pyro.errors import CannotTellWarning
from nbam_pyro.inference import predict
from nbam_pyro.training.contexts import seeded
from nbam_pyro.verified import NOTHING

__all__ = ["Review", "ReviewNames"]

_FOLDS = 5
_LEVEL = 0.05
_NONE = "no answers"
_ORDERS = ("flags", "responsibility", "random", "loss", "cleanlab")
# A pair of classes that look alike, and flip into each other.
_PAIRS = {"digits": (5, 6), "fashion_mnist": (3, 4)}

_Data = Annotated[
    Names,
    typer.Option(parser=Names.among(_PAIRS), metavar="NAME,...", help="Data sets to use."),
]
_TrainSize = Annotated[int, typer.Option(min=100, help="Largest number of noisy rows.")]


@final
@dataclass(frozen=True, kw_only=True)
class Review(Benchmark):
    """Wrong labels left in a cleaned table after answers in several orders and another fit."""

    data: _Data = Names(["digits"])
    orders: Annotated[
        Names,
        typer.Option(parser=Names.among(_ORDERS), metavar="NAME,...", help="Orders to measure."),
    ] = Names(_ORDERS)
    rate: Annotated[float, typer.Option(min=0, max=1, help="Flipped share of five classes.")] = 0.4
    answers: Annotated[int, typer.Option(min=1, help="Number of rows that are answered.")] = 500
    train_size: _TrainSize = 4000
    seeds: Seeds = 1
    first_seed: FirstSeed = 0
    epochs: Epochs = None
    data_root: DataRoot = None
    device: Device = None

    def measure(self, known: Collection[Case]) -> Iterator[Row]:
        """Yield one row per data set, seed and order, and one without answers.

        Raises:
            DataError: cleanlab is not installed, or data are missing.
        """
        if {"loss", "cleanlab"} & set(self.orders):
            require_cleanlab()
        for name in self.data:
            data = _sized(DATASETS[name], self.train_size, self.epochs)
            settings = {
                "rate": self.rate,
                "train_size": data.train_size,
                "answers": self.answers,
                "epochs": data.epochs,
            }
            for seed in range(self.first_seed, self.first_seed + self.seeds):
                cases = [
                    Case(data=name, method=order, seed=seed, settings=settings)
                    for order in (_NONE, *self.orders)
                ]
                if any(case not in known for case in cases):
                    problem = make_problem(
                        data, "asymmetric", rate=self.rate, seed=seed, root=self.data_root
                    )
                    task = _task(problem, data, seed, self.device)
                    yield from _cleaned(task, cases, self.answers, known)

    @staticmethod
    def summary(rows: pd.DataFrame) -> str:
        """Return means over seeds by data set and order."""
        columns = ["wrong_left", "false_flags", "found", "brier", "accuracy"]
        return rows.groupby(["data", "method"], sort=False)[columns].mean().round(4).to_string()


@final
@dataclass(frozen=True, kw_only=True)
class ReviewNames(Benchmark):
    """Smallest number of answers that decides the names of two classes exchanged in most rows."""

    data: _Data = Names(["digits"])
    rate: Annotated[float, typer.Option(min=0, max=1, help="Flipped share of both classes.")] = 0.6
    budgets: Annotated[
        Names, typer.Option(parser=Names.of, metavar="N,...", help="Numbers of answers to try.")
    ] = Names(["5", "10", "20", "40", "80"])
    train_size: _TrainSize = 4000
    seeds: Seeds = 5
    first_seed: FirstSeed = 0
    epochs: Epochs = None
    data_root: DataRoot = None
    device: Device = None

    def measure(self, known: Collection[Case]) -> Iterator[Row]:
        """Yield one row per data set, seed and order: queues for the verdict, and at random.

        Raises:
            DataError: Data are missing.
        """
        for name in self.data:
            a, b = _PAIRS[name]
            data = replace(_sized(DATASETS[name], self.train_size, self.epochs), flips={a: b, b: a})
            settings = {"rate": self.rate, "train_size": data.train_size, "epochs": data.epochs}
            for seed in range(self.first_seed, self.first_seed + self.seeds):
                cases = [
                    Case(data=name, method=order, seed=seed, settings=settings)
                    for order in ("verdict", "random")
                ]
                if all(case in known for case in cases):
                    continue
                problem = make_problem(
                    data, "asymmetric", rate=self.rate, seed=seed, root=self.data_root
                )
                task = _task(problem, data, seed, self.device)
                first = _fitted(task)
                for case in cases:
                    if case not in known:
                        yield self._row(task, first, case, (a, b))

    def _row(self, task: Task, first: Fit, case: Case, pair: tuple[int, int]) -> Row:
        before = first.label_evidence
        level = first.verdict.level
        needed: int | None = None
        for budget in map(int, self.budgets):
            chosen = _names_queue(first, case.method, budget, task.seed)
            after = _fitted(task, chosen)
            if _decided(task, after, pair):
                needed = budget
                break
        return Row(
            case=case,
            figures={
                "answers_needed": needed,
                "right_before": float(_right(task, first, pair)),
                "open_before": None if before is None else len(before.open_pairs),
            },
            notes={"verdict_before": level},
            device=task.device,
        )

    @staticmethod
    def summary(rows: pd.DataFrame) -> str:
        """Return the number of answers that were needed, by data set, order and seed."""
        return rows.pivot_table(
            index=["data", "method"], columns="seed", values="answers_needed", dropna=False
        ).to_string()


def _sized(data: DataSet, rows: int, epochs: int | None) -> DataSet:
    return replace(data, train_size=min(rows, data.train_size), epochs=epochs or data.epochs)


def _task(problem: Problem, data: DataSet, seed: int, device: torch.device | None) -> Task:
    return Task(problem=problem, data=data, seed=seed, device=device or best_device())


def _fitted(task: Task, answered: np.ndarray | None = None) -> Fit:
    """Fit with the default steps, and with the true labels of the answered rows."""
    labels = task.problem.labels
    verified = NOTHING
    if answered is not None:
        true = np.full(len(labels.clean), -1)
        true[answered] = labels.clean[answered]
        verified = Verified.of(labels.observed, true_label=true)
    with warnings.catch_warnings(), seeded(task.seed, devices=True):
        warnings.simplefilter("ignore", CannotTellWarning)
        story = LabelFlip(task.data.network(), task.data.classes)
        return fit_story(task, story, verified=verified)


def _cleaned(task: Task, cases: list[Case], answers: int, known: Collection[Case]) -> Iterator[Row]:
    first = _fitted(task)
    chances: list[np.ndarray] = []
    for case in cases:
        if case in known:
            continue
        if case.method == _NONE:
            yield _judged(task, first, case, np.zeros(0, dtype=int))
            continue
        if case.method in ("loss", "cleanlab") and not chances:
            chances.append(_out_of_fold(task))
        order = _order_of(case.method, first, task, chances)
        chosen = order(min(answers, len(task.problem.labels.clean)))
        yield _judged(task, _fitted(task, chosen), case, chosen)


def _order_of(
    name: str, first: Fit, task: Task, chances: list[np.ndarray]
) -> Callable[[int], np.ndarray]:
    """Return the function from a number of rows to the rows in this order."""
    y = task.problem.labels.observed
    n = len(y)
    match name:
        case "flags":
            return lambda count: _queue(first, budget=count, goal="flags")
        case "responsibility":
            return lambda count: _queue(first, budget=count)
        case "random":
            order = np.random.default_rng(task.seed).permutation(n)
        case "loss":
            order = chances[0][np.arange(n), y].argsort(kind="stable")
        case _:
            from cleanlab.rank import get_label_quality_scores  # type: ignore[import-not-found]

            order = get_label_quality_scores(y, chances[0]).argsort(kind="stable")
            issues = _issues(y, chances[0])
            order = np.concatenate([issues, order[~np.isin(order, issues)]])
    return partial(_head, order)


def _head(order: np.ndarray, count: int) -> np.ndarray:
    return order[:count]


def _issues(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Rows with label issues by confident learning, in the order that cleanlab recommends."""
    from cleanlab.filter import find_label_issues  # type: ignore[import-not-found]

    found: np.ndarray = find_label_issues(
        y, p, return_indices_ranked_by="self_confidence", n_jobs=1
    )
    return found


def _queue(first: Fit, **options: Any) -> np.ndarray:
    return review_queue(first, **options)["row"].to_numpy()


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


def _names_queue(first: Fit, order: str, budget: int, seed: int) -> np.ndarray:
    if order == "verdict":
        return _queue(first, budget=budget, goal="verdict", seed=seed)
    n = len(first.training_rows.responsibility)
    return np.random.default_rng(seed).permutation(n)[:budget]


def _right(task: Task, found: Fit, pair: tuple[int, int]) -> bool:
    """Return whether most training rows of both classes are assigned to their own names."""
    clean = task.problem.labels.clean
    p = found.training_rows.true_label
    if p is None:
        return False
    best = p.argmax(1)
    return all((best[clean == c] == c).mean() > 0.5 for c in pair)


def _decided(task: Task, found: Fit, pair: tuple[int, int]) -> bool:
    """Return whether the names are right, and the verdict no longer leaves them open."""
    evidence = found.label_evidence
    if evidence is None or found.verdict.level == "cannot tell":
        return False
    closed = not any(set(one.classes) & set(pair) for one in evidence.open_pairs)
    return closed and _right(task, found, pair)
