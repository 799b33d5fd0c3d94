"""`Annotators`: simulated annotators of digits, and the consensus by several methods.

Each of 20 annotators has a skill between .5 and .95, and habits of mistakes. An item
has one to five annotations. The classifier is a logistic regression, trained on majority votes and
predicted out of fold.
"""

import warnings
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Annotated, final

import numpy as np
import pandas as pd
import typer
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.benchmark import CPU, Benchmark, Case, Row
from benchmarks.label_noise.pruning import require_cleanlab
from benchmarks.options import FirstSeed, Seeds
from benchmarks.report import DOCS, RESULTS, Report
from nbam_pyro.outputs import from_annotations

__all__ = ["ANNOTATORS", "Annotators", "table"]

_METHODS = ("nbam", "nbam without classifier", "crowdlab")
_LOWEST, _HIGHEST = 0.5, 0.95


@final
@dataclass(frozen=True, kw_only=True)
class Annotators(Benchmark):
    """Simulated annotators of digits: consensus, wrong annotations and intervals of accuracies."""

    seeds: Seeds = 5
    first_seed: FirstSeed = 0
    people: Annotated[int, typer.Option(min=3, help="Number of annotators.")] = 20

    def measure(self, known: Collection[Case]) -> Iterator[Row]:
        """Yield one row per seed and method.

        Raises:
            DataError: The package cleanlab is not installed.
        """
        x, truth = load_digits(return_X_y=True)
        for seed in range(self.first_seed, self.first_seed + self.seeds):
            cases = [Case(data="digits", method=name, seed=seed) for name in _METHODS]
            if all(case in known for case in cases):
                continue
            wide = _simulated(truth, self.people, seed)
            p = _predicted(x, wide, seed)
            for case in cases:
                if case not in known:
                    yield Row(case=case, figures=_figures(case.method, wide, p, truth), device=CPU)

    @staticmethod
    def summary(rows: pd.DataFrame) -> str:
        """Return a table of means over seeds."""
        return table(rows)


def _simulated(truth: np.ndarray, people: int, seed: int) -> pd.DataFrame:
    """Return a table with one column per annotator, NaN where there is no annotation."""
    rng = np.random.default_rng(seed)
    k = int(truth.max()) + 1
    skill = rng.uniform(_LOWEST, _HIGHEST, people)
    habit = rng.dirichlet(np.full(k - 1, 0.5), (people, k))
    labels = np.full((len(truth), people), np.nan)
    for i, c in enumerate(truth):
        for j in rng.choice(people, rng.integers(1, 6), replace=False):
            right = rng.random() < skill[j]
            labels[i, j] = c if right else (c + 1 + rng.choice(k - 1, p=habit[j, c])) % k
    return pd.DataFrame(labels)


def _predicted(x: np.ndarray, wide: pd.DataFrame, seed: int) -> np.ndarray:
    votes = wide.mode(axis=1)[0].astype(int)
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500))
    found: np.ndarray = cross_val_predict(model, x, votes, cv=folds, method="predict_proba")
    return found


def _figures(
    method: str, wide: pd.DataFrame, p: np.ndarray, truth: np.ndarray
) -> dict[str, float | None]:
    item, annotator = np.nonzero(wide.notna().to_numpy())
    label = wide.to_numpy()[item, annotator].astype(int)
    wrong = label != truth[item]
    if method == "crowdlab":
        consensus, r = _crowdlab(wide, p, item, annotator)
        return {
            "accuracy": float((consensus == truth).mean()),
            "brier": float(((r - wrong) ** 2).mean()),
        }
    long = pd.DataFrame({"item": item, "annotator": annotator, "label": label})
    report = from_annotations(long, p if method == "nbam" else None, classes=range(p.shape[1]))
    right = 1 - pd.Series(wrong).groupby(annotator).mean()
    found = report.annotators.loc[right.index]
    inside = (found["low"] <= right) & (right <= found["high"])
    return {
        "accuracy": float((report.items["consensus"].sort_index() == truth).mean()),
        "brier": float(((report.annotations["responsibility"] - wrong) ** 2).mean()),
        "coverage": float(inside.mean()),
        "width": float((found["high"] - found["low"]).mean()),
        "agrees": float(report.agreement["agrees"].all()),
    }


def _crowdlab(
    wide: pd.DataFrame, p: np.ndarray, item: np.ndarray, annotator: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the consensus and 1 - quality of each annotation, by CROWDLAB of cleanlab."""
    require_cleanlab()
    from cleanlab.multiannotator import (  # type: ignore[import-not-found]
        get_label_quality_multiannotator,
    )

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = get_label_quality_multiannotator(wide, p, verbose=False)
    quality = found["detailed_label_quality"].to_numpy()[item, annotator]
    return found["label_quality"]["consensus_label"].to_numpy(), 1 - quality


def table(rows: pd.DataFrame) -> str:
    """Return means over seeds as a table, one row per method.

    Args:
        rows: One row per case.
    """
    means = rows.groupby("method")[["accuracy", "brier", "coverage"]].mean()
    lines = [
        "| method | accuracy of the consensus | Brier score of annotations | intervals that "
        "contain the share right |",
        "|---|---|---|---|",
    ]
    for method in (one for one in _METHODS if one in means.index):
        own = means.loc[method]
        inside = "" if np.isnan(own["coverage"]) else f"{own['coverage']:.3f}"
        lines.append(f"| `{method}` | {own['accuracy']:.4f} | {own['brier']:.4f} | {inside} |")
    seeds = rows["seed"].nunique()
    return "\n".join([*lines, "", f"Means over {seeds} seeds."])


ANNOTATORS = Report(
    name="annotators",
    results=RESULTS / "annotators.parquet",
    document=DOCS / "benchmarks" / "crowd.md",
    text=table,
)
