"""The base class of benchmarks in which a person gives the true labels of some rows."""

import warnings
from abc import abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Annotated

import numpy as np
import typer

from benchmarks.benchmark import Benchmark, Case, Row
from benchmarks.label_noise.nbam import fit_story
from benchmarks.label_noise.problems import DataSet, make_problem
from benchmarks.label_noise.training import Task
from benchmarks.options import DataRoot, Device, Epochs, FirstSeed, Names, Seeds, best_device
from nbam_pyro import Fit, LabelFlip, Verified
from nbam_pyro.errors import CannotTellWarning
from nbam_pyro.training.contexts import seeded
from nbam_pyro.verified import NOTHING

__all__ = ["PAIRS", "Answered", "fitted"]

PAIRS: Mapping[str, tuple[int, int]] = MappingProxyType({"digits": (5, 6), "fashion_mnist": (3, 4)})
"""Pair of classes that look alike, and flip into each other, of each data set."""


@dataclass(frozen=True, kw_only=True)
class Answered(Benchmark):
    """Base class: all methods of a data set and seed start from the same noisy labels."""

    data: Annotated[
        Names,
        typer.Option(parser=Names.among(PAIRS), metavar="NAME,...", help="Data sets to use."),
    ] = Names(["digits"])
    rate: Annotated[float, typer.Option(min=0, max=1, help="Flipped share of flipping classes.")]
    train_size: Annotated[int, typer.Option(min=100, help="Largest number of noisy rows.")] = 4000
    seeds: Seeds
    first_seed: FirstSeed = 0
    epochs: Epochs = None
    data_root: DataRoot = None
    device: Device = None

    def measure(self, known: Collection[Case]) -> Iterator[Row]:
        """Yield one row per data set, seed and method.

        Raises:
            DataError: A package is not installed, or data are missing.
        """
        for name in self.data:
            whole = self._flipping(name)
            rows, epochs = min(self.train_size, whole.train_size), self.epochs or whole.epochs
            data = replace(whole, train_size=rows, epochs=epochs)
            common = {"rate": self.rate, "train_size": rows, "epochs": epochs}
            settings = {**common, **self._settings()}
            for seed in range(self.first_seed, self.first_seed + self.seeds):
                cases = [
                    Case(data=name, method=method, seed=seed, settings=settings)
                    for method in self._methods()
                ]
                cases = [case for case in cases if case not in known]
                if cases:
                    problem = make_problem(
                        data, "asymmetric", rate=self.rate, seed=seed, root=self.data_root
                    )
                    device = self.device or best_device()
                    yield from self._rows(
                        Task(problem=problem, data=data, seed=seed, device=device), cases
                    )

    @abstractmethod
    def _flipping(self, name: str) -> DataSet:
        """Return a data set with the classes that flip."""

    @abstractmethod
    def _methods(self) -> Sequence[str]:
        """Return the names of all methods."""

    @abstractmethod
    def _settings(self) -> dict[str, object]:
        """Return settings of the cases, besides rate, rows and epochs."""

    @abstractmethod
    def _rows(self, task: Task, cases: Sequence[Case]) -> Iterator[Row]:
        """Yield the row of each case."""


def fitted(task: Task, answered: np.ndarray | None = None) -> Fit:
    """Fit with the default steps, and with the true labels of the answered rows.

    Args:
        task: Noisy labels, and how to train.
        answered: Positions of the answered rows, (B,), or None.
    """
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
