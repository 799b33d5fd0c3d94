"""Benchmark of label noise, by data set, kind of noise, rate and method.

Data sets other than digits are read from `--data-root`, in the format of torchvision. Nothing is
downloaded.
"""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Annotated, Any, NamedTuple, final

import pandas as pd
import torch
import typer

from benchmarks.benchmark import Benchmark, Case, Row
from benchmarks.label_noise.figures import figures
from benchmarks.label_noise.methods import METHODS
from benchmarks.label_noise.problems import DATASETS, KINDS, DataSet, Problem, make_problem
from benchmarks.label_noise.pruning import require_cleanlab
from benchmarks.label_noise.report import tables
from benchmarks.label_noise.training import Task
from benchmarks.options import DataRoot, Device, Epochs, FirstSeed, Names, Shares, best_device

__all__ = ["GRID", "LabelNoise", "Part", "rows_of"]


class Part(NamedTuple):
    """Part of the grid: a data set and a kind of noise, with its rates and number of seeds."""

    data: str
    kind: str
    rates: tuple[float, ...]
    seeds: int


GRID = (
    Part("digits", "asymmetric", (0.0, 0.1, 0.2, 0.4, 0.6), 6),
    Part("digits", "symmetric", (0.2, 0.4, 0.6), 6),
    Part("digits", "pair", (0.2, 0.4), 6),
    Part("digits", "instance", (0.2, 0.4), 6),
    Part("digits", "local", (0.2, 0.4), 6),
    Part("fashion_mnist", "asymmetric", (0.0, 0.2, 0.4, 0.6), 3),
    Part("fashion_mnist", "symmetric", (0.4,), 3),
    Part("fashion_mnist", "pair", (0.4,), 3),
    Part("fashion_mnist", "instance", (0.4,), 3),
    Part("fashion_mnist", "local", (0.4,), 3),
    Part("cifar10", "asymmetric", (0.2, 0.4, 0.6), 2),
)

ChosenData = Annotated[
    Names,
    typer.Option(parser=Names.among(DATASETS), metavar="NAME,...", help="Data sets to use."),
]
Kinds = Annotated[
    Names | None,
    typer.Option(
        parser=Names.among(KINDS),
        metavar="NAME,...",
        help="Kinds of noise. The default depends on the data set.",
    ),
]
Methods = Annotated[
    Names, typer.Option(parser=Names.among(METHODS), metavar="NAME,...", help="Methods to fit.")
]
GivenRates = Annotated[
    Shares | None,
    typer.Option(
        parser=Shares.of,
        metavar="RATE,...",
        help="Shares of each source class to contaminate. Default: those of the benchmark.",
    ),
]
GivenSeeds = Annotated[
    int | None, typer.Option(min=1, help="Number of seeds. The default depends on the data set.")
]
TrainSize = Annotated[
    int | None,
    typer.Option(min=1, help="Number of noisy rows, including validation rows."),
]


@final
@dataclass(frozen=True, kw_only=True)
class LabelNoise(Benchmark):
    """Accuracy and flags of the library's label stories and of ten baselines under label noise."""

    data: ChosenData = Names(["digits", "fashion_mnist", "cifar10"])
    kinds: Kinds = None
    rates: GivenRates = None
    methods: Methods = Names(METHODS)
    seeds: GivenSeeds = None
    first_seed: FirstSeed = 0
    train_size: TrainSize = None
    epochs: Epochs = None
    data_root: DataRoot = None
    device: Device = None

    def measure(self, known: Collection[Case]) -> Iterator[Row]:
        """Yield one row per data set, kind of noise, rate, seed and method.

        Raises:
            DataError: cleanlab is not installed, data are missing, or a size is out of range.
        """
        if "cleanlab" in self.methods:
            require_cleanlab()
        for part in self.parts():
            for rate in part.rates:
                for seed in range(self.first_seed, self.first_seed + part.seeds):
                    yield from self._rows(part, rate, seed, known)

    def parts(self) -> Iterator[Part]:
        """Yield the chosen parts of the grid. Given rates and seeds replace those of the grid."""
        for name in self.data:
            own = dict.fromkeys(part.kind for part in GRID if part.data == name)
            for kind in self.kinds or own:
                parts = [part for part in GRID if (part.data, part.kind) == (name, kind)]
                if self.rates is not None:
                    seeds = max((part.seeds for part in parts), default=1)
                    parts = [Part(name, kind, self.rates, seeds)]
                for part in parts:
                    yield part if self.seeds is None else part._replace(seeds=self.seeds)

    def _rows(self, part: Part, rate: float, seed: int, known: Collection[Case]) -> Iterator[Row]:
        data = DATASETS[part.data]
        data = replace(
            data,
            train_size=self.train_size or data.train_size,
            epochs=self.epochs or data.epochs,
        )
        cases = [_case(part, rate, data, method, seed) for method in self.methods]
        yield from rows_of(
            [case for case in cases if case not in known],
            lambda: make_problem(data, part.kind, rate=rate, seed=seed, root=self.data_root),
            data,
            seed=seed,
            device=self.device,
        )

    @staticmethod
    def summary(rows: pd.DataFrame) -> str:
        """Return one table per case."""
        return tables(rows)


def rows_of(
    cases: Sequence[Case],
    problem: Callable[[], Problem],
    data: DataSet,
    *,
    seed: int,
    device: torch.device | None,
) -> Iterator[Row]:
    """Yield one row for each case of a problem.

    Args:
        cases: Cases to measure.
        problem: Function that makes the problem. It is not called if there are no cases.
        data: Data set.
        seed: Seed of the methods.
        device: Device to train on; None for the GPU if this machine has one, else the CPU.
    """
    if not cases:
        return
    chosen = device or best_device()
    task = Task(problem=problem(), data=data, seed=seed, device=chosen)
    for case in cases:
        found = measure(case.method, task)
        packages = {"cleanlab": version("cleanlab")} if case.method == "cleanlab" else {}
        notes = {"verdict": found.pop("verdict")}
        yield Row(case=case, figures=found, notes=notes, device=chosen, packages=packages)


def measure(method: str, task: Task) -> dict[str, Any]:
    """Run one method and return its figures, verdict and seconds by name."""
    started = time.perf_counter()
    with torch.random.fork_rng():
        torch.manual_seed(task.seed)
        outcome = METHODS[method](task)
    seconds = time.perf_counter() - started
    return {**figures(task.problem, outcome), "seconds": round(seconds, 2)}


def _case(part: Part, rate: float, data: DataSet, method: str, seed: int) -> Case:
    settings = {
        "kind": part.kind,
        "rate_per_class": rate,
        "train_size": data.train_size,
        "epochs": data.epochs,
    }
    return Case(data=part.data, method=method, seed=seed, settings=settings)
