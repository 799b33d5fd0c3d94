"""Label noise: ours and the baselines on one data set, one kind of noise and one rate.

    python -m benchmarks.label_noise --dataset digits --kind asymmetric --rate 0.4 \
        --methods nbam,cross_entropy --seeds 6 --json benchmarks/results/label_noise/digits.json

Data sets other than digits are read from --data-root, as torchvision stores them; nothing is
downloaded. The file is written after every method and seed; rows that it has are not measured
again.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import torch

from benchmarks.common import environment
from benchmarks.label_noise.figures import figures
from benchmarks.label_noise.methods import METHODS
from benchmarks.label_noise.problems import DATASETS, KINDS, Problem, make_problem
from benchmarks.label_noise.pruning import require_cleanlab
from benchmarks.label_noise.results import add_row, key, read_rows
from benchmarks.label_noise.training import Task
from nbam_pyro.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is measured: a data set, its noise, and how long training lasts."""

    dataset: str
    kind: str
    rate: float
    root: Path | None
    train_size: int | None
    epochs: int | None
    device: torch.device


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what the file does not have yet."""
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        run(
            Case(
                dataset=given.dataset,
                kind=given.kind,
                rate=given.rate,
                root=given.data_root,
                train_size=given.train_size,
                epochs=given.epochs,
                device=given.device,
            ),
            methods=given.methods,
            seeds=range(given.first_seed, given.first_seed + given.seeds),
            path=given.json,
            overwrite=given.overwrite,
        )
    except DataError as error:
        parser.error(str(error))


def run(
    case: Case, *, methods: Sequence[str], seeds: Sequence[int], path: Path, overwrite: bool
) -> None:
    """Measure every method and seed that the file does not have, and add each to it."""
    data = DATASETS[case.dataset]
    data = replace(data, epochs=case.epochs or data.epochs)
    if "cleanlab" in methods:
        require_cleanlab()
    for seed in seeds:
        problem: Problem | None = None
        for method in methods:
            head = {
                "dataset": case.dataset,
                "kind": case.kind,
                "method": method,
                "seed": seed,
                "rate_per_class": case.rate,
                "train_size": case.train_size or data.train_size,
                "epochs": data.epochs,
            }
            if not overwrite and key(head) in map(key, read_rows(path)):
                continue
            if problem is None:
                problem = make_problem(
                    data,
                    case.kind,
                    rate=case.rate,
                    seed=seed,
                    root=case.root,
                    train_size=case.train_size or data.train_size,
                )
            task = Task(problem=problem, data=data, seed=seed, device=case.device)
            row = {**head, **measure(method, task), **_machine(case.device)}
            add_row(path, row)
            print({name: row[name] for name in ("method", "seed", *_SHOWN)}, flush=True)


def _machine(device: torch.device) -> dict[str, str]:
    """Device and versions, flat."""
    machine = environment(device)
    versions = [f"{name} {version}" for name, version in machine["versions"].items()]
    return {"device": machine["device"], "versions": ", ".join(versions)}


def measure(method: str, task: Task) -> dict[str, Any]:
    """The figures of one method, and its seconds."""
    started = time.perf_counter()
    with torch.random.fork_rng():
        torch.manual_seed(task.seed)
        outcome = METHODS[method](task)
    seconds = time.perf_counter() - started
    return {**figures(task.problem, outcome), "seconds": round(seconds, 2)}


_SHOWN = ("accuracy_selected", "auroc", "brier", "rate_estimate", "rate_true", "seconds")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line, not the usage as well."""
        print(f"{self.prog}: {message}", file=sys.stderr)
        sys.exit(2)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="benchmarks.label_noise",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--dataset", choices=list(DATASETS), required=True)
    parser.add_argument("--kind", choices=list(KINDS), required=True)
    parser.add_argument("--rate", type=_rate, required=True, help="of each source class, in [0, 1]")
    parser.add_argument("--methods", type=_methods, default=",".join(METHODS), help="by commas")
    parser.add_argument("--seeds", type=_positive, default=1, help="how many")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--data-root", type=Path, help="folder of the images")
    parser.add_argument("--train-size", type=_positive, help="noisy rows, validation included")
    parser.add_argument("--epochs", type=_positive, help="of one training run")
    default = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", type=_device, default=default)
    parser.add_argument("--json", type=Path, required=True, help="the file of rows")
    parser.add_argument("--overwrite", action="store_true", help="measure known rows again")
    return parser


def _methods(text: str) -> list[str]:
    unknown = [name for name in text.split(",") if name not in METHODS]
    if unknown:
        raise argparse.ArgumentTypeError(
            f"unknown methods {', '.join(unknown)}; there are {', '.join(METHODS)}"
        )
    return text.split(",")


def _rate(text: str) -> float:
    rate = float(text)
    if not 0 <= rate <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not in [0, 1]")
    return rate


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not positive")
    return number


def _device(text: str) -> torch.device:
    try:
        device = torch.device(text)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise argparse.ArgumentTypeError(f"there is no device {text!r} here") from error
    return device


if __name__ == "__main__":
    main()
