"""Choice of the default sharpness of `from_pred_probs`, and a check on other seeds.

Three scikit-learn classifiers give out-of-sample probabilities (five folds). The data are digits
and a simulation with overlapping classes, with asymmetric, symmetric and look-alike flips. Only
values that flag at most 1 % of the rows of clean digits with every classifier are allowed. Among
them, the default has the lowest mean Brier score on the development seeds.
"""

import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple, final

import numpy as np
import pandas as pd
import typer
from sklearn.base import ClassifierMixin
from sklearn.datasets import load_digits, make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.benchmark import CPU, Benchmark, Case, Row
from benchmarks.options import Names, Rates, Seeds, Shares
from nbam_pyro import from_pred_probs
from nbam_pyro.data import DIGITS_FLIPS, Contaminated, Flips, SymmetricFlips, contaminate
from nbam_pyro.outputs.pred_probs import SHARPNESS
from nbam_pyro.outputs.report import PredProbsReport

# First seed of the development seeds and of the check seeds.
DEVELOPMENT, CHECK = 100, 0
RATES = (0.1, 0.2, 0.3, 0.4)
PLAIN = "1 - p(label)"
TRIED = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0)


class Labelled(NamedTuple):
    """Rows with known contamination: data set, kind of flips, rate, features and labels."""

    data: str
    flips: str
    rate: float
    x: np.ndarray
    labels: Contaminated


CLASSIFIERS: dict[str, Callable[[int], ClassifierMixin]] = {
    "logistic regression": lambda seed: make_pipeline(
        StandardScaler(), LogisticRegression(C=0.1, max_iter=300)
    ),
    "random forest": lambda seed: RandomForestClassifier(200, random_state=seed),
    "perceptron": lambda seed: make_pipeline(
        StandardScaler(),
        MLPClassifier((64,), alpha=1.0, early_stopping=True, max_iter=60, random_state=seed),
    ),
}


def cases(seed: int, *, rates: Sequence[float]) -> Iterator[Labelled]:
    """Yield digits and the simulation, clean and with every kind of flip at every rate."""
    digits = load_digits()
    simulated = make_classification(
        1500,
        n_informative=6,
        n_redundant=4,
        n_classes=3,
        class_sep=1.2,
        flip_y=0,
        random_state=seed,
    )
    sets = [
        ("digits", digits.data / 16, digits.target, Flips(dict(DIGITS_FLIPS))),
        ("simulation", *simulated, Flips({0: 1, 1: 2})),
    ]
    for name, x, truth, asymmetric in sets:
        symmetric = SymmetricFlips(truth.max() + 1)
        yield Labelled(name, "none", 0.0, x, contaminate(truth, symmetric, rate=0, seed=seed))
        for rate in rates:
            flipped = contaminate(truth, asymmetric, rate=rate, seed=seed)
            yield Labelled(name, "asymmetric", rate, x, flipped)
            flipped = contaminate(truth, symmetric, rate=rate, seed=seed)
            yield Labelled(name, "symmetric", rate, x, flipped)
            yield Labelled(name, "look-alike", rate, x, look_alike(x, truth, rate, seed))


def look_alike(x: np.ndarray, truth: np.ndarray, rate: float, seed: int) -> Contaminated:
    """Flip labels to the most similar other class. Similar rows flip with higher probability."""
    rows = np.arange(len(truth))
    judge = make_pipeline(StandardScaler(), LogisticRegression(C=0.01)).fit(x, truth)
    p = judge.predict_proba(x)
    own = p[rows, truth]
    p[rows, truth] = 0
    odds = np.log(p.max(1) / own) + 2 * np.random.default_rng(seed).logistic(size=len(rows))
    contaminated = np.zeros(len(rows), dtype=bool)
    contaminated[np.argsort(-odds)[: round(rate * len(rows))]] = True
    return Contaminated(truth, np.where(contaminated, p.argmax(1), truth), contaminated)


def judge_all(case: Labelled, p: np.ndarray, seed: int) -> Iterator[dict[str, Any]]:
    """Yield figures of 1 - p(label), of every sharpness, and of calls with verified labels."""
    y, z = case.labels.observed, case.labels.contaminated
    plain = 1 - p[np.arange(len(y)), y]
    yield {"sharpness": PLAIN, **_judged(plain, z)}
    for a in TRIED:
        report = from_pred_probs(y, p, sharpness=a)
        row = {"sharpness": f"{a:g}", **_judged(_responsibility(report), z)}
        if a == SHARPNESS:
            low, high = report.contamination[["band_low", "band_high"]]
            row["in_band"] = low <= z.mean() <= high
        yield row
    default = _responsibility(from_pred_probs(y, p))
    drawn = np.random.default_rng(seed).permutation(len(y))
    looked_at = {
        "100 verified labels at random": drawn[:100],
        "30 verified labels at random": drawn[:30],
        "30 most suspicious verified labels": np.argsort(-plain)[:30],
    }
    for name, rows in looked_at.items():
        verified = np.full(len(y), -1)
        verified[rows] = case.labels.clean[rows]
        rest = verified < 0
        chosen = _responsibility(from_pred_probs(y, p, verified=verified))
        fixed = _responsibility(from_pred_probs(y, p, verified=verified, sharpness=SHARPNESS))
        yield {
            "sharpness": name,
            "brier_other_rows": _brier(chosen[rest], z[rest]),
            "brier_other_rows_default": _brier(fixed[rest], z[rest]),
            "brier_other_rows_without_verified": _brier(default[rest], z[rest]),
        }


def _judged(r: np.ndarray, z: np.ndarray) -> dict[str, float]:
    return {
        "brier": _brier(r, z),
        "rate_error": float(abs(r.mean() - z.mean())),
        "flagged": float((r > 0.5).mean()),
    }


def _brier(r: np.ndarray, z: np.ndarray) -> float:
    return float(((r - z) ** 2).mean())


def _responsibility(report: PredProbsReport) -> np.ndarray:
    return report.rows["responsibility"].to_numpy()


@final
@dataclass(frozen=True, kw_only=True)
class Sharpness(Benchmark):
    """Brier scores of `from_pred_probs` by sharpness, on development seeds and check seeds."""

    seeds: Seeds = 2
    rates: Rates = Shares(RATES)
    classifiers: Annotated[
        Names,
        typer.Option(
            parser=Names.among(CLASSIFIERS), metavar="NAME,...", help="Classifiers to fit."
        ),
    ] = Names(CLASSIFIERS)

    def measure(self, known: Collection[Case]) -> Iterator[Row]:
        """Yield one row per data set, flips, rate, classifier and choice of the sharpness."""
        for first in (DEVELOPMENT, CHECK):
            for seed in range(first, first + self.seeds):
                for labelled in cases(seed, rates=self.rates):
                    for classifier in self.classifiers:
                        yield from _rows(labelled, classifier, seed, known)

    @staticmethod
    def summary(rows: pd.DataFrame) -> str:
        """Return tables of Brier scores, flagged clean rows and coverage of the band."""
        sets = rows["seed"].ge(DEVELOPMENT).map({True: "development", False: "check"})
        return "\n\n".join(f"{name}\n{_about(part)}" for name, part in rows.groupby(sets))


def _rows(labelled: Labelled, classifier: str, seed: int, known: Collection[Case]) -> Iterator[Row]:
    def case(sharpness: str) -> Case:
        settings = {"flips": labelled.flips, "rate": labelled.rate, "sharpness": sharpness}
        return Case(data=labelled.data, method=classifier, seed=seed, settings=settings)

    if case(PLAIN) in known:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        p = cross_val_predict(
            CLASSIFIERS[classifier](seed),
            labelled.x,
            labelled.labels.observed,
            cv=StratifiedKFold(5, shuffle=True, random_state=seed),
            method="predict_proba",
        )
    for judged in judge_all(labelled, p, seed):
        yield Row(case=case(judged.pop("sharpness")), figures=judged, device=CPU)


def _about(rows: pd.DataFrame) -> str:
    figures = [str(name) for name in rows if str(name).startswith(("brier", "rate_error"))]
    means = rows.groupby("sharpness", sort=False)[figures].mean()
    clean, noisy = rows[rows["rate"] == 0], rows[rows["rate"] > 0]
    flagged = clean.groupby(["sharpness", "data"], sort=False)["flagged"].max().unstack()
    scores = noisy.groupby(["sharpness", "data", "flips"], sort=False)["brier"].mean()
    in_band = rows.groupby("flips")[["in_band"]].mean()
    parts = {
        "means": means,
        "clean rows flagged at most": flagged,
        "Brier scores": scores.unstack([1, 2]),
        "truth in the band": in_band,
    }
    return "\n\n".join(f"{name}\n{part.round(4).to_string()}" for name, part in parts.items())
