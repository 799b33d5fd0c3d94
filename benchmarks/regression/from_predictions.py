"""`from_predictions` on out-of-fold predictions of three regressors, and the fitted story.

The tables are scikit-learn's diabetes (442 rows), Friedman's first function (500 rows, noise 1) and
a smooth function of six features (600 rows, noise .7). Gross errors add or subtract 5 or more
standard deviations of the clean targets. Five-fold predictions are made from contaminated targets.
The fitted story is `NBAMRegressor` with its defaults on the same rows.

The part "shapes" has residuals without a table: clean ones of several shapes, some of which have
heavy tails, skew or a changing scale. A method should find no contamination there, or not be sure.

Priors of the method were chosen on the seeds 100 and above of the tables and on the seeds 1000 and
above of the shapes. Results are reported on seeds from 0.
"""

import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from itertools import product
from types import MappingProxyType
from typing import Annotated, Any, final

import numpy as np
import pandas as pd
import typer
from sklearn.datasets import load_diabetes, make_friedman1
from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import RidgeCV
from sklearn.metrics import brier_score_loss, roc_auc_score
from sklearn.model_selection import cross_val_predict

from benchmarks.benchmark import CPU, Benchmark, Case, Row
from benchmarks.options import FirstSeed, Names, Rates, Seeds, Shares
from nbam_pyro import NBAMRegressor
from nbam_pyro.data import GrossErrors, contaminate
from nbam_pyro.outputs import ContaminationReport, from_predictions

__all__ = ["FromPredictions"]

_STORY, _SHAPES = "NBAMRegressor", "shapes"
_ROWS = 400

Table = tuple[np.ndarray, np.ndarray]


def _smooth(seed: int) -> Table:
    rng = np.random.default_rng(seed + 77)
    x = rng.normal(size=(600, 6))
    signal = 2 * np.sin(2 * x[:, 0]) + x[:, 1] * x[:, 2] + x[:, 3]
    return x, signal + rng.normal(0, 0.7, 600)


TABLES: MappingProxyType[str, Callable[[int], Table]] = MappingProxyType(
    {
        "diabetes": lambda _: load_diabetes(return_X_y=True),
        "friedman": lambda seed: make_friedman1(500, noise=1.0, random_state=seed),
        "smooth": _smooth,
    }
)
MODELS: MappingProxyType[str, Callable[[], Any]] = MappingProxyType(
    {
        "ridge": lambda: RidgeCV(alphas=np.geomspace(0.01, 100, 9)),
        "forest": lambda: RandomForestRegressor(100, min_samples_leaf=3, random_state=0),
        "boosting": lambda: GradientBoostingRegressor(random_state=0),
    }
)
SHAPES: MappingProxyType[str, Callable[[np.random.Generator], np.ndarray]] = MappingProxyType(
    {
        "normal": lambda rng: rng.normal(size=_ROWS),
        "student 3": lambda rng: rng.standard_t(3, _ROWS),
        "laplace": lambda rng: rng.laplace(size=_ROWS),
        "exponential": lambda rng: rng.exponential(size=_ROWS),
        "lognormal": lambda rng: rng.lognormal(0, 0.8, _ROWS),
        "changing scale": lambda rng: rng.normal(size=_ROWS) * rng.uniform(0.2, 2, _ROWS),
        "two scales": lambda rng: rng.normal(size=_ROWS) * np.where(rng.random(_ROWS) < 0.3, 3, 1),
    }
)


@final
@dataclass(frozen=True, kw_only=True)
class FromPredictions(Benchmark):
    """Wrong measurements from out-of-fold predictions of any regressor."""

    rates: Rates = Shares((0.0, 0.1))
    methods: Annotated[
        Names,
        typer.Option(
            parser=Names.among([*MODELS, _STORY, _SHAPES]),
            metavar="NAME,...",
            help="Models that predict, the fitted story, or clean shapes.",
        ),
    ] = Names([*MODELS, _STORY, _SHAPES])
    data: Annotated[
        Names, typer.Option(parser=Names.among(TABLES), metavar="NAME,...", help="Tables to use.")
    ] = Names(TABLES)
    seeds: Seeds = 3
    first_seed: FirstSeed = 0

    def measure(self, known: Collection[Case]) -> Iterator[Row]:
        """Yield one row per table, rate, seed and method, and one per clean shape and seed."""
        seeds = range(self.first_seed, self.first_seed + self.seeds)
        tables = [one for one in self.methods if one != _SHAPES]
        for name, rate, seed, method in product(self.data, self.rates, seeds, tables):
            case = Case(data=name, method=method, seed=seed, settings={"rate": rate})
            if case not in known:
                yield _of_table(case, name, rate, seed)
        for shape, seed in product(SHAPES if _SHAPES in self.methods else (), seeds):
            case = Case(data=shape, method=_SHAPES, seed=seed, settings={"rate": 0.0})
            if case not in known:
                residual = SHAPES[shape](np.random.default_rng(seed))
                report = from_predictions(residual, np.zeros(len(residual)))
                yield _row(case, report, np.zeros(len(residual), bool))

    @staticmethod
    def summary(rows: pd.DataFrame) -> str:
        """Return means over seeds, and the verdicts."""
        keys = ["rate", "data", "method"]
        means = rows.groupby(keys, sort=False).mean(numeric_only=True).drop(columns="seed")
        levels = rows.groupby(keys, sort=False)["level"].agg(lambda x: ", ".join(sorted(set(x))))
        return means.join(levels).round(4).to_string()


def _of_table(case: Case, name: str, rate: float, seed: int) -> Row:
    x, y = TABLES[name](seed)
    wrong, observed = np.zeros(len(y), bool), y
    if rate:
        made = contaminate(y, GrossErrors(5 * float(y.std())), rate=rate, seed=seed)
        wrong, observed = made.contaminated, made.observed
    started = time.perf_counter()
    if case.method == _STORY:
        model = NBAMRegressor(random_state=seed).fit(x, observed)
        figures = _figures(model.responsibility_, wrong)
        low, high = model.contamination_interval_
        figures |= {"low": low, "high": high, "seconds": _since(started)}
        return Row(case=case, figures=figures, notes={"level": model.verdict_.level})
    predicted = cross_val_predict(MODELS[case.method](), x, observed, cv=5)
    return _row(case, from_predictions(observed, predicted), wrong)


def _row(case: Case, report: ContaminationReport, wrong: np.ndarray) -> Row:
    low, high = report.contamination_interval
    figures = _figures(report.rows["responsibility"].to_numpy(), wrong)
    return Row(
        case=case,
        figures={**figures, "low": low, "high": high},
        notes={"level": report.verdict.level},
        device=CPU,
    )


def _figures(r: np.ndarray, wrong: np.ndarray) -> dict[str, float | None]:
    return {
        "auroc": float(roc_auc_score(wrong, r)) if wrong.any() else None,
        "brier": float(brier_score_loss(wrong, r)),
        "truth": float(wrong.mean()),
        "share": float(r.mean()),
        "flagged": float((r > 0.5).mean()),
    }


def _since(started: float) -> float:
    return round(time.perf_counter() - started, 2)
