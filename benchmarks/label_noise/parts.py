"""Kinds of noise on a data set: planted ones, and labels that people gave."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks.label_noise.features import NAME, features_data, label_columns, people_problem
from benchmarks.label_noise.problems import DATASETS, DataSet, Problem, make_problem

__all__ = ["PEOPLE", "Part", "parts"]

PEOPLE = "people"
"""Name of the kind of noise of labels that people gave."""


class Part(NamedTuple):
    """A kind of noise on a data set, and the function that makes the problem of a `seed`."""

    name: str
    data: DataSet
    noise: str
    rate: float | None
    problem: Callable[..., Problem]


def parts(
    names: Sequence[str],
    kinds: Collection[str],
    planted: Sequence[tuple[str, float]],
    *,
    features: Path | None,
    train_size: int | None,
    epochs: int | None,
    root: Path | None,
) -> Iterator[Part]:
    """Yield the kinds of noise of some data sets.

    Args:
        names: Names of data sets.
        kinds: Names of kinds of noise; others are left out.
        planted: Kinds of planted noise, with their shares of flipped rows in each source class.
        features: File of features, whose name without suffix is the name of the data set. If it is
            None, the data set `features` is left out.
        train_size: Largest number of rows, or None for all.
        epochs: Epochs of a training run, or None for those of the data set.
        root: Folder of the images, or None.
    """
    for name in names:
        if name == NAME and features is None:
            continue
        path = Path(str(features))
        # Rows of two files of features can be told apart.
        shown = path.stem if name == NAME else name
        data = DATASETS[name] if name in DATASETS else features_data(path)
        rows = min(train_size or data.train_size, data.train_size)
        data = replace(data, train_size=rows, epochs=epochs or data.epochs)
        for kind, rate in planted:
            if kind in kinds:
                problem = partial(make_problem, data, kind, rate=rate, root=root)
                yield Part(shown, data, kind, rate, problem)
        if name == NAME and PEOPLE in kinds:
            for column in label_columns(path):
                people = partial(people_problem, data, path, column)
                yield Part(shown, data, f"{PEOPLE} {column}", None, people)
