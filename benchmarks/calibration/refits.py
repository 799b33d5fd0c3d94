"""Coverage of the intervals of whole fits: the estimators are fitted again to every simulation.

The parts "separate" and "overlapping" are blobs, "mixed" are tables of 300 to 3000 rows of many
shapes, "lines" are straight lines with wrong measurements (see simulated_tables.py), "anomalies"
are rows without labels for the default detector (see unlabelled_tables.py), and the others are poor
tables: "imbalanced" (95 to 5), "difficult" (the best classifier errs in 27 % of the
rows), "many classes" (30 classes of 30 rows), "few rows" (30), "wide" (60 rows, 2000 columns) and
"noise" (labels that do not depend on the rows). Labels of good tables are flipped in four ways at a
rate of up to .4; those of poor tables are right for even seeds, and flipped at .2 for odd ones.

Every simulation counts, whatever its verdict: an interval that is wide because the data cannot tell
should contain the truth, too. `score` is the interval score of Gneiting & Raftery (2007), and
`fixed` that of an interval from 0 to .5, which one can state without data.
"""

import math
import time
import warnings
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, final

import numpy as np
import pandas as pd
import typer
from sklearn import datasets

from benchmarks.benchmark import CPU, Benchmark, Case, Row
from benchmarks.calibration.labelled_tables import FLIPS, Table, labelled
from benchmarks.calibration.sharpness import interval_score
from benchmarks.calibration.unlabelled_tables import unlabelled
from benchmarks.options import FirstSeed, Names, Seeds
from benchmarks.regression.simulated_tables import simulated
from nbam_pyro import NBAMClassifier, NBAMRegressor
from nbam_pyro.detection import MixedDetector
from nbam_pyro.errors import NBAMWarning

__all__ = ["Refits"]

_LINES, _ANOMALIES = "lines", "anomalies"
_MOST, _POOR = 0.4, 0.2
_FIXED = (0.0, 0.5)
# Look-alike flips depend on a classifier of their own.
_KINDS = FLIPS[:3] + FLIPS[4:]


def _blobs(least: float, most: float) -> Callable[[np.random.Generator], Table]:
    def draw(rng: np.random.Generator) -> Table:
        x, y = datasets.make_blobs(
            int(rng.integers(200, 800)),
            n_features=int(rng.integers(2, 8)),
            centers=int(rng.integers(2, 7)),
            cluster_std=rng.uniform(least, most),
            random_state=int(rng.integers(2**31)),
        )
        return x, y

    return draw


def _mixed(rng: np.random.Generator) -> Table:
    """Return a table of 300 to 3000 rows of one of three shapes."""
    rows = int(np.exp(rng.uniform(math.log(300), math.log(3000))))
    seed, classes = int(rng.integers(2**31)), int(rng.integers(2, 9))
    shape = int(rng.integers(3))
    if shape == 0:
        return datasets.make_moons(rows, noise=rng.uniform(0.05, 0.3), random_state=seed)
    if shape == 1:
        return datasets.make_gaussian_quantiles(
            n_samples=rows, n_features=int(rng.integers(2, 6)), n_classes=3, random_state=seed
        )
    return datasets.make_classification(
        rows,
        n_features=20,
        n_informative=8,
        n_classes=classes,
        n_clusters_per_class=int(rng.integers(1, 3)),
        class_sep=rng.uniform(0.8, 2.5),
        flip_y=0.0,
        random_state=seed,
    )


def _two(rows: int, apart: float, *, share: float = 0.5, columns: int = 4) -> Callable[..., Table]:
    """Return two Normal classes whose means are `apart` standard deviations from each other."""

    def draw(rng: np.random.Generator) -> Table:
        y = (rng.permutation(rows) < round(share * rows)).astype(int)
        x = rng.normal(size=(rows, columns))
        x[:, 0] += apart * y
        return x, y

    return draw


def _many(rng: np.random.Generator) -> Table:
    y = np.repeat(np.arange(30), 30)
    return rng.normal(size=(30, 8))[y] * 3 + rng.normal(size=(900, 8)), y


PARTS: MappingProxyType[str, Callable[[np.random.Generator], Table]] = MappingProxyType(
    {
        "separate": _blobs(0.5, 1.5),
        "overlapping": _blobs(2.5, 5.0),
        "mixed": _mixed,
    }
)
"""Functions that draw a good table: features and true classes."""

POOR: MappingProxyType[str, Callable[[np.random.Generator], Table]] = MappingProxyType(
    {
        "imbalanced": _two(600, 3.0, share=0.05),
        "difficult": _two(500, 1.2257),  # the best classifier errs in 27 % of the rows
        "many classes": _many,
        "few rows": _two(30, 3.0),
        "wide": _two(60, 6.0, columns=2000),
        "noise": _two(300, 0.0),
    }
)
"""Functions that draw a poor table."""


def labels_of(part: str, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rows, observed labels, and which labels are wrong, of a simulation."""
    rng = np.random.default_rng([seed, *map(ord, part)])
    table = (PARTS | POOR)[part](rng)
    rate = rng.uniform(0, _MOST) if part in PARTS else _POOR * (seed % 2)
    flips = _KINDS[int(rng.integers(len(_KINDS)))] if part in PARTS else "uniform"
    data = labelled(table, flips, rate=rate, rows=len(table[1]), seed=seed)
    return data.x, data.labels, data.labels != data.true


def judged(part: str, seed: int) -> tuple[dict[str, Any], str]:
    """Fit a model to a simulation, and return its figures and the level of its verdict."""
    model: Any
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NBAMWarning)
        if part == _ANOMALIES:
            x, wrong = unlabelled(seed)
            model = MixedDetector(random_state=seed).fit(x)
            r = model.predict_proba(x)[:, 1]
        elif part == _LINES:
            table = simulated(seed)
            wrong = table.wrong
            model = NBAMRegressor(random_state=seed).fit(table.x, table.y)
            r = model.responsibility_
        else:
            x, y, wrong = labels_of(part, seed)
            model = NBAMClassifier(random_state=seed).fit(x, y)
            r = model.responsibility_
    seconds = time.perf_counter() - started
    truth, (low, high) = float(wrong.mean()), model.contamination_interval_
    figures = {
        "rows": len(wrong),
        "truth": truth,
        "contamination": model.contamination_,
        "low": low,
        "high": high,
        "covered": float(low <= truth <= high),
        "score": interval_score(low, high, truth),
        "fixed": interval_score(*_FIXED, truth),
        "error": abs(model.contamination_ - truth),
        "brier": float(((r - wrong) ** 2).mean()),
        "flagged": float((r > 0.5).mean()),
        "seconds": round(seconds, 1),
    }
    return figures, str(model.verdict_.level)


_ALL = (*PARTS, _LINES, _ANOMALIES, *POOR)


@final
@dataclass(frozen=True, kw_only=True)
class Refits(Benchmark):
    """Coverage of the intervals of whole fits, with every verdict, on good and poor tables."""

    seeds: Seeds = 20
    first_seed: FirstSeed = 0
    parts: Annotated[
        Names,
        typer.Option(parser=Names.among(_ALL), metavar="NAME,...", help="Parts to measure."),
    ] = Names(_ALL)

    def measure(self, known: Collection[Case]) -> Iterator[Row]:
        """Yield one row per simulation. A run that was stopped goes on where it ended."""
        for seed in range(self.first_seed, self.first_seed + self.seeds):
            for part in self.parts:
                case = Case(data=part, method="estimator", seed=seed)
                if case not in known:
                    figures, level = judged(part, seed)
                    yield Row(case=case, figures=figures, notes={"level": level}, device=CPU)

    @staticmethod
    def summary(rows: pd.DataFrame) -> str:
        """Return means by part, and by part and verdict."""
        shown = ["truth", "contamination", "covered", "score", "fixed", "error", "brier", "flagged"]
        counts = rows.groupby(["data", "level"]).size().rename("number")
        means = rows.groupby(["data", "level"])[shown].mean().round(3)
        every = rows.groupby("data")[[*shown, "seconds"]].mean().round(3)
        return f"{every.to_string()}\n\n{means.join(counts).to_string()}"
