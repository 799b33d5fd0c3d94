"""`MixedDetector`, the default for tables, beside detectors of PyOD with their default settings.

Every detector is fitted on all rows of a table, without labels, and scores the same rows. Its
settings (kinds, parts, neighbours, bins, the sharpness of the weights) were chosen on the tables of
ODDS: arrhythmia, breastw, cardio, ionosphere, lympho, pendigits, satellite, satimage-2, thyroid,
vowels, wbc and 45_wine. The tables of ADBench were evaluated once, after that.
"""

import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, final

import numpy as np
import pandas as pd
import typer
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from benchmarks.benchmark import CPU, Benchmark, Case, Row
from benchmarks.detection.protocol import tables
from benchmarks.detection.scored import class_of
from benchmarks.options import DataRoot, Names, given
from benchmarks.report import DOCS, RESULTS, Report
from nbam_pyro.detection import MixedDetector

__all__ = ["DEFAULT_DETECTOR", "DefaultDetector", "comparison"]

# Larger tables are cut to this many random rows.
_ROWS = 5000
_OURS = "mixed"
TWINS = ("43_WDBC", "7_Cardiotocography", "19_landsat")
"""Tables of ADBench with the rows of wbc, cardio and satellite, on which settings were chosen."""

_PYOD = {
    "iforest": "pyod.models.iforest.IForest",
    "ecod": "pyod.models.ecod.ECOD",
    "copod": "pyod.models.copod.COPOD",
    "knn": "pyod.models.knn.KNN",
    "lof": "pyod.models.lof.LOF",
    "hbos": "pyod.models.hbos.HBOS",
    "pca": "pyod.models.pca.PCA",
    "cblof": "pyod.models.cblof.CBLOF",
}
_RANDOM = (_OURS, "iforest", "cblof")
# These depend on the units of the features. They are also measured on standardised features.
_STANDARDISED = ("knn", "lof", "cblof")
METHODS = (_OURS, *_PYOD, *(f"{name}-std" for name in _STANDARDISED))
"""Our default, detectors of PyOD on features as they are, and on standardised features."""

TableNames = Annotated[
    Names | None,
    typer.Option(parser=Names.of, metavar="NAME,...", help="Tables to use. Default: no twins."),
]
Methods = Annotated[
    Names,
    typer.Option(
        parser=Names.among(METHODS),
        metavar="NAME,...",
        help="Methods to measure. Default: all. Rivals need the package pyod.",
    ),
]


@final
@dataclass(frozen=True, kw_only=True)
class DefaultDetector(Benchmark):
    """The default detector for tables, and detectors of PyOD, on tables with anomalies."""

    data_root: DataRoot = None
    tables: TableNames = None
    methods: Methods = Names(METHODS)
    seeds: Annotated[int, typer.Option(help="Number of seeds of random methods.", min=1)] = 3

    def measure(self, known: Collection[Case]) -> Iterator[Row]:
        """Yield one row per table, method and seed.

        Raises:
            DataError: PyOD is not installed, or data are missing.
        """
        root = given(self.data_root)
        for name, every, anomaly in tables(root, only=self.tables):
            if self.tables is None and name in TWINS:
                continue
            kept = np.arange(len(every))
            if len(kept) > _ROWS:
                kept = np.random.default_rng(0).choice(len(kept), _ROWS, replace=False)
            for method in self.methods:
                for seed in range(self.seeds if method.removesuffix("-std") in _RANDOM else 1):
                    case = Case(data=name, method=method, seed=seed, settings={"folder": root.name})
                    if case not in known:
                        yield _measured(case, every[kept], anomaly[kept])

    @staticmethod
    def summary(rows: pd.DataFrame) -> str:
        """Return the tables of areas under the curve and of shares."""
        return comparison(rows)


def _measured(case: Case, x: np.ndarray, anomaly: np.ndarray) -> Row:
    # Other processes do not change processor time.
    started = time.process_time()
    try:
        detector = _fitted(case.method, x, case.seed)
    except ValueError as error:
        if case.method == _OURS:
            raise
        # CBLOF finds no clusters with some seeds.
        return Row(case=case, figures={"auc": None}, notes={"failed": str(error)}, device=CPU)
    seconds = round(time.process_time() - started, 2)
    rows = StandardScaler().fit_transform(x) if case.method.endswith("-std") else x
    figures: dict[str, float | None] = {
        "auc": float(roc_auc_score(anomaly, np.nan_to_num(detector.decision_scores_))),
        "brier": _brier(detector, rows, anomaly),
        "truth": float(anomaly.mean()),
        "rows": float(len(x)),
        "features": float(x.shape[1]),
        "seconds": seconds,
    }
    if case.method != _OURS:
        return Row(case=case, figures=figures, device=CPU)
    low, high = detector.contamination_interval_
    figures |= {"share": detector.contamination_, "low": low, "high": high}
    return Row(case=case, figures=figures, notes={"level": detector.verdict_.level}, device=CPU)


def _brier(detector: Any, x: np.ndarray, anomaly: np.ndarray) -> float | None:
    # PyOD has no probabilities where a score is infinite.
    if not np.isfinite(detector.decision_scores_).all():
        return None
    return float(((detector.predict_proba(x)[:, 1] - anomaly) ** 2).mean())


def _fitted(method: str, x: np.ndarray, seed: int | None) -> Any:
    if method == _OURS:
        return MixedDetector(random_state=seed).fit(x)
    name = method.removesuffix("-std")
    further = {"random_state": seed} if name in _RANDOM else {}
    rows = StandardScaler().fit_transform(x) if method != name else x
    return class_of(_PYOD[name])(**further).fit(rows)


def comparison(rows: pd.DataFrame) -> str:
    """Return one table of AUC for each folder, and one of the shares that our default estimates.

    Args:
        rows: One row per case.
    """
    return "\n\n".join(
        f"### {folder}\n\n{_areas(part)}\n\n{_shares(part[part['method'] == _OURS])}"
        for folder, part in rows.groupby("folder", sort=False)
    )


def _areas(rows: pd.DataFrame) -> str:
    wide = rows.pivot_table(index="data", columns="method", values="auc")
    wide = wide[[name for name in METHODS if name in wide]]
    lines = ["| AUC | " + " | ".join(f"`{name}`" for name in wide) + " |"]
    lines.append("|" + "---|" * (1 + wide.shape[1]))
    every = pd.concat([wide, wide.mean().to_frame("*mean*").T])
    lines += [
        f"| {name} | "
        + " | ".join("" if np.isnan(value) else f"{value:.3f}" for value in values)
        + " |"
        for name, values in every.iterrows()
    ]
    if _OURS not in wide or wide.shape[1] == 1:
        return "\n".join(lines)
    best = wide.drop(columns=_OURS).mean()
    counts = ", ".join(
        f"{name} {int((wide[_OURS] >= wide[name]).sum())}" for name in wide if name != _OURS
    )
    return "\n".join(lines) + (
        f"\n\nBest rival in the mean: `{best.idxmax()}`, {best.max():.3f}. Number of the "
        f"{len(wide)} tables on which `{_OURS}` has at least the AUC of a rival: {counts}."
    )


def _shares(rows: pd.DataFrame) -> str:
    lines = [
        "| table | rows, features | true share | share | 90 % interval | verdict | Brier score | "
        "Brier score of the true share | seconds |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, part in rows.groupby("data"):
        one = part.mean(numeric_only=True)
        truth = one["truth"]
        lines.append(
            f"| {name} | {one['rows']:.0f}, {one['features']:.0f} | {truth:.3f} | "
            f"{one['share']:.3f} | {one['low']:.3f} to {one['high']:.3f} | "
            f"{', '.join(sorted(set(part['level'])))} | {one['brier']:.3f} | "
            f"{truth * (1 - truth):.3f} | {one['seconds']:.1f} |"
        )
    inside = (rows["low"] <= rows["truth"]) & (rows["truth"] <= rows["high"])
    error = (rows["share"] - rows["truth"]).abs()
    constant = rows["truth"] * (1 - rows["truth"])
    return "\n".join(lines) + (
        f"\n\nMean error of the share {error.mean():.3f}. The interval contains the true share in "
        f"{int(inside.sum())} of {len(rows)} fits. The Brier score is below that of the true share "
        f"in {int((rows['brier'] < constant).sum())} of {len(rows)} fits (means "
        f"{rows['brier'].mean():.3f} and {constant.mean():.3f})."
    )


DEFAULT_DETECTOR = Report(
    name="default-detector",
    results=RESULTS / "default-detector.parquet",
    document=DOCS / "benchmarks" / "detection.md",
    text=comparison,
)
