"""Features of images from a file, with planted wrong labels or labels that people gave."""

from functools import partial
from pathlib import Path

import numpy as np
from sklearn.model_selection import train_test_split
from torch import nn

from benchmarks.label_noise.problems import Clean, DataSet, Problem, problem_of
from nbam_pyro.data import CIFAR10_FLIPS, Contaminated
from nbam_pyro.errors import DataError

__all__ = ["NAME", "features_data", "label_columns", "people_problem"]

NAME = "features"
"""Name of the data set."""

# Start of the names of the arrays that contain labels given by people.
_LABELS = "labels_"


def features_data(path: Path) -> DataSet:
    """Return the data set of a file of features.

    Args:
        path: File of NumPy, .npz: `X_train` (N, D), true classes `y_train` (N,), optionally
            `X_test` and `y_test`, `labels_NAME` (N,) for each column of labels that people gave,
            and `flips` (F, 2), the asymmetric flips from true to observed class. Without test
            rows, a tenth of the rows becomes the test set. Without flips, those of CIFAR-10 are
            used if there are ten classes, else flips from each class to the next.
    """
    clean = _load(0, None, path=path)
    classes = int(clean.y.max()) + 1
    return DataSet(
        load=partial(_load, path=path),
        flips=_flips(path, classes),
        network=partial(_head, clean.x.shape[1], classes),
        train_size=len(clean.y),
        held_out=0.1,
        epochs=20,
        batch_size=128,
        lr=1e-3,
        weight_decay=1e-2,
        one_cycle=False,
        classes=classes,
    )


def label_columns(path: Path) -> list[str]:
    """Return the names of the columns of labels that people gave.

    Args:
        path: File of features.
    """
    with np.load(path) as file:
        return [name.removeprefix(_LABELS) for name in file.files if name.startswith(_LABELS)]


def people_problem(data: DataSet, path: Path, column: str, *, seed: int) -> Problem:
    """Return the problem of labels that people gave.

    Args:
        data: Data set of the file.
        path: File of features.
        column: Name of the column of labels.
        seed: Seed of the choice of rows and validation rows.

    Raises:
        DataError: The file has no such column.
    """
    with np.load(path) as file:
        if _LABELS + column not in file.files:
            raise DataError(
                f"{path} has no array {_LABELS + column!r}. Add it, or leave out people."
            )
        given = file[_LABELS + column].astype(int)
        index, _ = _parts(len(given), "X_test" in file.files, seed)
    clean = data.load(seed, None)
    kept = np.random.default_rng(seed).permutation(len(index))[: data.train_size]
    clean, observed = clean._replace(x=clean.x[kept], y=clean.y[kept]), given[index[kept]]
    labels = Contaminated(clean.y, observed, observed != clean.y)
    return problem_of(clean, labels, data, seed=seed)


def _flips(path: Path, classes: int) -> dict[int, int]:
    """Return the asymmetric flips of the file, or the usual ones."""
    with np.load(path) as file:
        if "flips" in file.files:
            return {int(true): int(observed) for true, observed in file["flips"]}
    return dict(CIFAR10_FLIPS) if classes == 10 else {c: (c + 1) % classes for c in range(classes)}


def _load(seed: int, root: Path | None, *, path: Path) -> Clean:
    """Return standardised rows; the seed chooses the test rows if the file has none."""
    with np.load(path) as file:
        x, y = file["X_train"].astype(np.float32), file["y_train"].astype(int)
        tested = "X_test" in file.files
        train, test = _parts(len(y), tested, seed)
        x_test, y_test = (file["X_test"], file["y_test"]) if tested else (x[test], y[test])
    mean, scale = x[train].mean(0), x[train].std(0) + 1e-6
    return Clean(
        (x[train] - mean) / scale,
        y[train],
        ((x_test - mean) / scale).astype(np.float32),
        y_test.astype(int),
    )


def _parts(count: int, tested: bool, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of training and of test rows."""
    rows = np.arange(count)
    if tested:
        return rows, rows[:0]
    train, test = train_test_split(rows, test_size=0.1, random_state=seed)
    return train, test


def _head(width: int, classes: int) -> nn.Sequential:
    """Return a perceptron with one hidden layer of 256 units and dropout."""
    trunk = nn.Sequential(nn.Linear(width, 256), nn.ReLU(), nn.Dropout(0.5))
    return nn.Sequential(trunk, nn.Linear(256, classes))
