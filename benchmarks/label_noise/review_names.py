"""Answers of a person that decide which of two exchanged classes has which name."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, final

import numpy as np
import pandas as pd
import typer

from benchmarks.benchmark import Case, Row
from benchmarks.label_noise.answers import PAIRS, Answered, fitted
from benchmarks.label_noise.problems import DATASETS, DataSet
from benchmarks.label_noise.training import Task
from benchmarks.options import Names, Seeds
from nbam_pyro import Fit
from nbam_pyro.decisions import review_queue

__all__ = ["ReviewNames"]


@final
@dataclass(frozen=True, kw_only=True)
class ReviewNames(Answered):
    """Smallest number of answers that decides the names of two classes exchanged in most rows."""

    rate: Annotated[float, typer.Option(min=0, max=1, help="Flipped share of both classes.")] = 0.6
    budgets: Annotated[
        Names, typer.Option(parser=Names.of, metavar="N,...", help="Numbers of answers to try.")
    ] = Names(["5", "10", "20", "40", "80"])
    seeds: Seeds = 5

    def _flipping(self, name: str) -> DataSet:
        a, b = PAIRS[name]
        return replace(DATASETS[name], flips={a: b, b: a})

    def _methods(self) -> Sequence[str]:
        return ("verdict", "random")

    def _settings(self) -> dict[str, object]:
        return {}

    def _rows(self, task: Task, cases: Sequence[Case]) -> Iterator[Row]:
        first = fitted(task)
        for case in cases:
            yield self._row(task, first, case)

    def _row(self, task: Task, first: Fit, case: Case) -> Row:
        before, pair = first.label_evidence, PAIRS[case.data]
        needed: int | None = None
        for budget in map(int, self.budgets):
            after = fitted(task, _chosen(first, case.method, budget, task.seed))
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
            notes={"verdict_before": first.verdict.level},
            device=task.device,
        )

    @staticmethod
    def summary(rows: pd.DataFrame) -> str:
        """Return the number of answers that were needed, by data set, order and seed."""
        return rows.pivot_table(
            index=["data", "method"], columns="seed", values="answers_needed", dropna=False
        ).to_string()


def _chosen(first: Fit, order: str, budget: int, seed: int) -> np.ndarray:
    if order == "verdict":
        return review_queue(first, budget=budget, goal="verdict", seed=seed)["row"].to_numpy()
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
