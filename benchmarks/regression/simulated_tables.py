"""Straight lines in simulated tables of 20 to 200 rows, beside robust estimates of other authors.

Each table has 1 to 5 columns and one of five kinds of contamination: gross errors in y; wrong rows
far away in x (leverage); wrong rows close together (cluster); errors of one sign (skew); gross
errors beside noise that depends on x (heteroscedastic). Its share is below the breakdown point of
least trimmed squares for this number of rows and columns, and at most .45.

`slope_error` is the distance of the slopes from the true ones, in units of the expected error of
least squares on the clean rows (1 on average for a method to which the wrong rows are given).
`right` is 1 if the distance is below twice that of least squares on the clean rows; if this error
is small by chance, no method can reach it, therefore `about_right` counts distances below twice the
larger of this and the expected error. `some_right` and `some_about_right` are the same for any mode
of weight .05 or more.

The estimator was developed on the seeds 0 to 199 and 1000 to 1099. Results are reported on the
seeds from 5000.
"""

import math
import time
import warnings
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from typing import Annotated, Any, final

import numpy as np
import pandas as pd
import typer
from sklearn.metrics import brier_score_loss, roc_auc_score

from benchmarks.benchmark import CPU, Benchmark, Case, Row
from benchmarks.options import FirstSeed, Names, Seeds, one_of
from benchmarks.regression.robust_lines import RIVALS, least_squares, require_statsmodels
from nbam_pyro import NBAMRegressor
from nbam_pyro.errors import NBAMWarning

__all__ = ["SimulatedTables"]

KINDS = ("gross", "leverage", "cluster", "skew", "heteroscedastic")
_OURS = "NBAMRegressor"
_FEWEST, _MOST = 20, 200
_LARGEST = 0.45
# Weight from which a mode counts.
_WEIGHT = 0.05


@dataclass(frozen=True)
class Table:
    """A simulated table.

    Attributes:
        kind: Kind of contamination.
        x: Rows, (N, D).
        y: Measurements, (N,).
        wrong: Which measurements are wrong, (N,).
        slopes: True slopes, (D,).
        noise: Standard deviation of the clean noise.
    """

    kind: str
    x: np.ndarray
    y: np.ndarray
    wrong: np.ndarray
    slopes: np.ndarray
    noise: float

    @cached_property
    def columns(self) -> np.ndarray:
        """The rows with an intercept, (N, 1 + D)."""
        return np.column_stack([np.ones(len(self.y)), self.x])

    @cached_property
    def best(self) -> float:
        """Distance of the slopes of least squares on the clean rows."""
        return self.distance(least_squares(self.columns[~self.wrong], self.y[~self.wrong])[1:])

    @cached_property
    def expected(self) -> float:
        """Expected distance of the slopes of least squares on the clean rows."""
        clean = self.columns[~self.wrong]
        return float(self.noise * np.sqrt(np.trace(np.linalg.inv(clean.T @ clean)[1:, 1:])))

    def distance(self, slopes: np.ndarray) -> float:
        """Return the distance of some slopes from the true ones."""
        return float(np.linalg.norm(slopes - self.slopes))

    def right(self, slopes: np.ndarray) -> bool:
        """Return whether the distance is below twice that of least squares on the clean rows."""
        return self.distance(slopes) < 2 * self.best

    def about_right(self, slopes: np.ndarray) -> bool:
        """Return whether the distance is below twice the larger of `best` and `expected`."""
        return self.distance(slopes) < 2 * max(self.best, self.expected)


def simulated(seed: int) -> Table:
    """Return the table of a seed."""
    rng = np.random.default_rng(seed)
    kind = KINDS[seed % len(KINDS)]
    rows = int(np.exp(rng.uniform(math.log(_FEWEST), math.log(_MOST))))
    size = min(int(rng.integers(1, 6)), max(1, rows // 8))
    x = (
        rng.normal(size=(rows, size))
        if rng.random() < 0.6
        else rng.uniform(-1.7, 1.7, (rows, size))
    )
    slopes = rng.normal(size=size) * rng.uniform(0.5, 3)
    noise = rng.uniform(0.2, 1.5)
    breakdown = ((rows - size) // 2 - 1) / rows
    count = round(rng.uniform(0, min(_LARGEST, breakdown)) * rows)
    bad = rng.permutation(rows)[:count]
    error = rng.uniform(5, 15) * noise
    if kind == "leverage":
        way = rng.normal(size=size)
        way *= rng.uniform(3, 8) / np.linalg.norm(way)
        x[bad] = way + 0.3 * rng.normal(size=(count, size))
    elif kind == "cluster":
        x[bad] = rng.normal(size=size) * rng.uniform(0.5, 3) + 0.2 * rng.normal(size=(count, size))
    clean = rng.normal(size=rows) * noise
    if kind == "heteroscedastic":
        clean *= np.exp(0.5 * x[:, 0])
    y = x @ slopes + 3 * rng.normal() + clean
    if kind in ("gross", "heteroscedastic"):
        y[bad] += rng.choice([-1, 1], count) * error * rng.uniform(0.7, 1.5, count)
    elif kind == "skew":
        y[bad] += error * rng.gamma(2, 0.5, count) + 2 * noise
    elif kind == "leverage":
        y[bad] += rng.choice([-1, 1]) * error * rng.uniform(0.8, 1.2, count)
    else:  # the wrong rows of a cluster have nearly the same measurement
        y[bad] += rng.choice([-1, 1]) * error - 0.7 * clean[bad]
    wrong = np.zeros(rows, dtype=bool)
    wrong[bad] = True
    scatter = noise * (math.exp(0.5) if kind == "heteroscedastic" else 1)
    return Table(kind, x, y, wrong, slopes, scatter)


def ours(table: Table, mean: str) -> tuple[dict[str, Any], str]:
    """Return figures of `NBAMRegressor`, and the level of its verdict."""
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NBAMWarning)
        model = NBAMRegressor(mean=mean, random_state=0).fit(table.x, table.y)  # type: ignore[arg-type]
    seconds = time.perf_counter() - started
    r = model.responsibility_
    low, high = model.contamination_interval_
    found: dict[str, Any] = {
        "brier": float(brier_score_loss(table.wrong, r)),
        "contamination": model.contamination_,
        "covered": float(low <= table.wrong.mean() <= high),
        "identified": float(model.verdict_.level == "identified"),
        "linear": float(model.mean_.choice == "linear"),
        "seconds": seconds,
    }
    if model.mean_.choice == "linear":
        scale = model.fit_.story.trunk.scale.double().numpy()
        modes = [(m.weight, m.latents["weight"].double().numpy() / scale) for m in model.fit_.modes]
        kept = [slopes for weight, slopes in modes if weight >= _WEIGHT]
        found |= _slopes(table, modes[0][1])
        found["some_right"] = float(any(map(table.right, kept)))
        found["some_about_right"] = float(any(map(table.about_right, kept)))
        found["modes"] = len(kept)
    return found | _ranks(table, r), str(model.verdict_.level)


def theirs(table: Table, method: str) -> dict[str, Any]:
    """Return figures of another robust estimate."""
    started = time.perf_counter()
    line = RIVALS[method](table.columns, table.y)
    seconds = time.perf_counter() - started
    far = abs(table.y - table.columns @ line)
    return {**_slopes(table, line[1:]), **_ranks(table, far), "seconds": seconds}


def _slopes(table: Table, slopes: np.ndarray) -> dict[str, float]:
    return {
        "slope_error": table.distance(slopes) / table.expected,
        "right": float(table.right(slopes)),
        "about_right": float(table.about_right(slopes)),
    }


def _ranks(table: Table, score: np.ndarray) -> dict[str, float]:
    """Return the AUROC of a score, if there are wrong rows."""
    return {"auroc": float(roc_auc_score(table.wrong, score))} if table.wrong.any() else {}


@final
@dataclass(frozen=True, kw_only=True)
class SimulatedTables(Benchmark):
    """Straight lines in small simulated tables with five kinds of contamination."""

    seeds: Seeds = 200
    first_seed: FirstSeed = 5000
    methods: Annotated[
        Names,
        typer.Option(parser=Names.among([_OURS, *RIVALS]), metavar="NAME,...", help="Methods."),
    ] = Names([_OURS, *RIVALS])
    mean: Annotated[
        str, typer.Option(parser=one_of(["auto", "linear"]), help="Mean of NBAMRegressor.")
    ] = "linear"

    def measure(self, known: Collection[Case]) -> Iterator[Row]:
        """Yield one row per table and method.

        Raises:
            DataError: statsmodels is not installed.
        """
        require_statsmodels()
        for seed in range(self.first_seed, self.first_seed + self.seeds):
            table = simulated(seed)
            for method in self.methods:
                mean = self.mean if method == _OURS else None
                case = Case(data=table.kind, method=method, seed=seed, settings={"mean": mean})
                if case in known:
                    continue
                own = method == _OURS
                figures, level = ours(table, self.mean) if own else (theirs(table, method), None)
                size = {"rows": len(table.y), "share": float(table.wrong.mean())}
                yield Row(
                    case=case,
                    figures={**size, **figures},
                    notes={"level": level},
                    device=CPU,
                    packages={"statsmodels": version("statsmodels")},
                )

    @staticmethod
    def summary(rows: pd.DataFrame) -> str:
        """Return means by method, medians by kind and method, and what verdicts say."""
        own = rows[rows["method"] == _OURS]
        wrong, easy = own["about_right"] == 0, (own["rows"] >= 50) & (own["share"] <= 0.2)
        verdicts = {
            "of tables with a wrong heaviest mode, not identified": (own["identified"] == 0)[wrong],
            "of tables with 50 rows or more and at most 20 %, identified": (own["identified"] == 1)[
                easy
            ],
        }
        shown = ["right", "about_right", "some_right", "some_about_right", "brier", "covered"]
        medians = rows.groupby(["data", "method"])[["slope_error", "auroc"]].median()
        return "\n\n".join(
            [
                rows.groupby("method")[[n for n in shown if n in rows]].mean().round(3).to_string(),
                medians.unstack("method").round(3).to_string(),
                *(f"{one.mean():.3f} of {len(one)} {name}" for name, one in verdicts.items()),
            ]
        )
