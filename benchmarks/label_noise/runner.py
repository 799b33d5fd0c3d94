"""Measure what a file of rows does not have yet."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from benchmarks.label_noise.figures import figures
from benchmarks.label_noise.methods import METHODS
from benchmarks.label_noise.problems import DATASETS, DataSet, make_problem
from benchmarks.label_noise.pruning import require_cleanlab
from benchmarks.label_noise.training import Task
from benchmarks.rows import RowFile, machine

KEY = ("dataset", "kind", "rate_per_class", "train_size", "epochs", "method", "seed")
_PRINTED = ("accuracy_selected", "auroc", "brier", "rate_estimate", "rate_true", "seconds")


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is measured.

    Attributes:
        dataset: one of `DATASETS`.
        kind: of noise, one of `KINDS`.
        rate: share of each source class to contaminate.
    """

    dataset: str
    kind: str
    rate: float


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """How it is measured.

    Attributes:
        methods: names of `METHODS`.
        seeds: of split, noise and training.
        root: folder of the images.
        train_size: noisy rows; None for those of the data set.
        epochs: of one training run; None for those of the data set.
        device: where to train.
        overwrite: measure rows again that the file has.
    """

    methods: Sequence[str]
    seeds: Sequence[int]
    root: Path | None
    train_size: int | None
    epochs: int | None
    device: torch.device
    overwrite: bool


def run(case: Case, conditions: Conditions, path: Path) -> None:
    """Measure every method and seed that the file does not have, and add each to it at once.

    Raises:
        DataError: cleanlab or data are missing, or the file is of something else.
    """
    if "cleanlab" in conditions.methods:
        require_cleanlab()
    data = DATASETS[case.dataset]
    size = conditions.train_size or data.train_size
    data = replace(data, train_size=size, epochs=conditions.epochs or data.epochs)
    file = RowFile(path, KEY)
    known = [] if conditions.overwrite else [file.of(row) for row in file.read()]
    for seed in conditions.seeds:
        heads = [_head(case, data, method, seed) for method in conditions.methods]
        missing = [head for head in heads if file.of(head) not in known]
        if not missing:
            continue
        problem = make_problem(data, case.kind, rate=case.rate, seed=seed, root=conditions.root)
        task = Task(problem=problem, data=data, seed=seed, device=conditions.device)
        for head in missing:
            row = {**head, **_machine(conditions.device, head["method"]), **measure(head, task)}
            file.add(row)
            printed = " ".join(f"{name} {_short(row[name])}" for name in _PRINTED)
            print(case.dataset, case.kind, case.rate, head["method"], seed, printed, flush=True)


def measure(head: dict[str, Any], task: Task) -> dict[str, Any]:
    """The figures of one method, in the order of the file, and its seconds."""
    started = time.perf_counter()
    with torch.random.fork_rng():
        torch.manual_seed(task.seed)
        outcome = METHODS[head["method"]](task)
    seconds = time.perf_counter() - started
    return {**figures(task.problem, outcome), "seconds": round(seconds, 2)}


def _head(case: Case, data: DataSet, method: str, seed: int) -> dict[str, Any]:
    return {
        "dataset": case.dataset,
        "kind": case.kind,
        "method": method,
        "seed": seed,
        "rate_per_class": case.rate,
        "train_size": data.train_size,
        "epochs": data.epochs,
    }


def _machine(device: torch.device, method: str) -> dict[str, str]:
    return machine(device, {"cleanlab": version("cleanlab")} if method == "cleanlab" else None)


def _short(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
