"""Test whether the level and the unit of numbers change flags.

Each entry point of the library gets one small data set. Its numbers are scaled by 1e-9, 1 and 1e9,
and 0, 1e6, 1e9 or 1e12 is added. The result is compared with that of the same numbers after
scikit-learn's StandardScaler. A cell of the table is right in three cases:

* The flags (probabilities above one half) are the same, and no probability differs by more than
  1e-6.
* The numbers are rejected, and the spacing of double precision is larger than a hundredth of their
  scatter.
* All numbers have become equal. No method can distinguish them from a constant column.
"""

import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, final

import numpy as np
import pandas as pd
import torch
import typer
from sklearn.preprocessing import StandardScaler
from torch import nn

from benchmarks.benchmark import Benchmark, Case, Row
from benchmarks.options import Names
from nbam_pyro import LabelFlip, NBAMClassifier, NBAMRegressionLoss, NBAMRegressor, fit
from nbam_pyro.detection import AnomalyDetector, DeepSVDD
from nbam_pyro.errors import DataError
from nbam_pyro.models import Standardise, mlp, robust_regression

OFFSETS = (0.0, 1e6, 1e9, 1e12)
SCALES = (1e-9, 1.0, 1e9)
Moved = Callable[[np.ndarray], np.ndarray]


def labelled() -> tuple[np.ndarray, np.ndarray]:
    """Return features and labels of 90 rows of three classes. Some labels are wrong."""
    rng = np.random.default_rng(0)
    true = np.arange(90) % 3
    x = 4 * np.eye(3)[true] + rng.normal(size=(90, 3))
    y = true.copy()
    y[:6] = 1
    return x, y


def measured() -> tuple[np.ndarray, np.ndarray]:
    """Return features and targets of 100 rows of a plane. Ten targets are wrong."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (100, 2))
    y = x @ [3.0, -2.0] + 0.1 * rng.normal(size=100)
    y[:10] += 6
    return x, y


def classifier(move: Moved) -> np.ndarray:
    """Move the features of `NBAMClassifier`. Returns responsibilities."""
    x, y = labelled()
    return NBAMClassifier(random_state=0, epochs=20).fit(move(x), y).responsibility_


def classifier_new_rows(move: Moved) -> np.ndarray:
    """Move the features of `NBAMClassifier`. Returns responsibilities of new rows."""
    x, y = labelled()
    moved = move(x)
    return (
        NBAMClassifier(random_state=0, epochs=20)
        .fit(moved[:60], y[:60])
        .responsibility(moved[60:], y[60:])
    )


def regressor_features(move: Moved) -> np.ndarray:
    """Move the features of `NBAMRegressor`. Returns responsibilities."""
    x, y = measured()
    return NBAMRegressor(random_state=0, epochs=40).fit(move(x), y).responsibility_


def regressor_target(move: Moved) -> np.ndarray:
    """Move the targets of `NBAMRegressor`. Returns responsibilities."""
    x, y = measured()
    return NBAMRegressor(random_state=0, epochs=40).fit(x, move(y[:, None])[:, 0]).responsibility_


def story_of_labels(move: Moved) -> np.ndarray:
    """Move the features of `fit`; the story has double precision. Returns responsibilities."""
    x, y = labelled()
    rows = move(x)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = nn.Sequential(Standardise.of(torch.as_tensor(rows)), mlp(3, 3))
        story = LabelFlip(network, 3).double()
    return fit(story, (rows, y), epochs=20).training_rows.responsibility


def story_of_measurements(move: Moved) -> np.ndarray:
    """Move the targets of `fit` with `robust_regression`. Returns responsibilities."""
    x, y = measured()
    targets = move(y[:, None])[:, 0]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        story = robust_regression(mlp(2, 1), torch.as_tensor(targets)).double()
    return fit(story, (x, targets), epochs=40).training_rows.responsibility


def loss(move: Moved) -> np.ndarray:
    """Move targets and predictions of `NBAMRegressionLoss`. Returns responsibilities."""
    x, y = measured()
    both = move(np.concatenate([y, x @ [3.0, -2.0]])[:, None])[:, 0]
    targets, prediction = (torch.as_tensor(part) for part in np.split(both, 2))
    criterion = NBAMRegressionLoss()
    criterion.start_from(prediction, targets)
    return criterion.responsibility(prediction, targets).numpy()


def detector(move: Moved) -> np.ndarray:
    """Move the features of `AnomalyDetector`. Returns scores divided by the largest score."""
    x, _ = labelled()
    x[:5] += 9
    found = AnomalyDetector(DeepSVDD, contamination=0.1, epochs=10, random_state=0).fit(move(x))
    return found.decision_scores_ / found.decision_scores_.max()


def command_line(move: Moved) -> np.ndarray:
    """Move the features of `nbam fit` and `nbam score`. Returns both responsibilities."""
    x, y = labelled()
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent)
        table = pd.DataFrame(move(x), columns=["a", "b", "c"]).assign(label=y)
        table.to_csv(folder / "data.csv", index=False)
        run = [str(folder / "data.csv"), "--label", "label", "--epochs", "20"]
        _nbam("fit", *run, "--out", str(folder / "run"))
        out = str(folder / "scored.csv")
        _nbam("score", str(folder / "run"), str(folder / "data.csv"), "--out", out)
        fitted = pd.read_csv(folder / "run" / "flags.csv").set_index("row")["responsibility"]
        scored = pd.read_csv(out).set_index("row")["responsibility"]
    return np.concatenate([fitted.sort_index(), scored.sort_index()])


def _nbam(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from nbam_pyro.cli import app; app()", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise DataError(done.stderr.strip().splitlines()[-1])


WAYS: dict[str, Callable[[Moved], np.ndarray]] = {
    "classifier X": classifier,
    "classifier new rows": classifier_new_rows,
    "regressor X": regressor_features,
    "regressor y": regressor_target,
    "fit of labels x": story_of_labels,
    "fit of measurements y": story_of_measurements,
    "regression loss": loss,
    "detector X": detector,
    "nbam fit and score": command_line,
}


def cell(way: str, offset: float, scale: float) -> tuple[bool, dict[str, str]]:
    """Measure one cell. Returns whether it is right, and the texts of the table."""
    lost = equal = False

    def moved(x: np.ndarray) -> np.ndarray:
        nonlocal lost, equal
        values: np.ndarray = x * scale + offset
        equal = bool((np.ptp(values, axis=0) == 0).all())
        spacing = np.spacing(np.abs(np.median(values, axis=0)))
        quartiles = np.quantile(x * scale, [0.25, 0.75], axis=0)
        lost = bool((spacing > 0.01 * (quartiles[1] - quartiles[0]) / 1.349).any())
        return values

    def standardised(x: np.ndarray) -> np.ndarray:
        scaled: np.ndarray = StandardScaler().fit_transform(moved(x))
        return scaled

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = WAYS[way](moved)
        except DataError as error:
            return lost, {"says": "refused", "message": str(error)}
        if equal:
            return True, {"says": "all equal", "message": ""}
        expected = WAYS[way](standardised)
    flags = int(((found > 0.5) != (expected > 0.5)).sum())
    apart = float(np.abs(found - expected).max())
    right = flags == 0 and apart <= 1e-6 and not lost
    return right, {"says": f"{apart:.0e}", "message": f"{flags} other flags"}


@final
@dataclass(frozen=True, kw_only=True)
class Precision(Benchmark):
    """Test whether level and unit of numbers change flags, for each entry point."""

    ways: Annotated[
        Names, typer.Option(parser=Names.among(WAYS), metavar="NAME,...", help="Entry points.")
    ] = Names(WAYS)

    def measure(self, known: Collection[Case]) -> Iterator[Row]:
        """Yield one row per entry point, offset and scale."""
        for way, offset, scale in product(self.ways, OFFSETS, SCALES):
            settings = {"offset": offset, "scale": scale}
            case = Case(data="small", method=way, settings=settings)
            if case not in known:
                right, notes = cell(way, offset, scale)
                yield Row(case=case, figures={"right": right}, notes=notes)

    @staticmethod
    def summary(rows: pd.DataFrame) -> str:
        """Return a table of the largest differences of probabilities."""
        table = rows.pivot(index=["method", "offset"], columns="scale", values="says")
        return f"{table.to_string()}\n{int(rows['right'].sum())} of {len(rows)} cells right"
