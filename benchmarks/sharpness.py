"""The sharpness of `from_pred_probs`: what its default was chosen from, and a check on other seeds.

    python -m benchmarks.sharpness --json benchmarks/results/sharpness.json

Out-of-sample probabilities (five folds) of three classifiers of scikit-learn on digits and on a
simulation whose classes overlap, with asymmetric, symmetric and look-alike flips. The default is
the sharpness of the lowest mean Brier score on the development seeds among those that flag at most
1 % of the rows of clean digits with every classifier.
"""

import argparse
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import ClassifierMixin
from sklearn.datasets import load_digits, make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.common import environment, write_json
from nbam_pyro import from_pred_probs
from nbam_pyro.data import DIGITS_FLIPS, Contaminated, Flips, SymmetricFlips, contaminate
from nbam_pyro.outputs.pred_probs import SHARPNESS, SHARPNESS_BAND
from nbam_pyro.outputs.report import PredProbsReport

DEVELOPMENT, CHECK = (100, 101), (0, 1)
TRIED = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0)


class Labelled(NamedTuple):
    """Rows whose labels are contaminated in a known way."""

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


def main() -> None:
    """Measure both sets of seeds and write the JSON file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, required=True)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    results: dict[str, Any] = {"default": SHARPNESS, "band": SHARPNESS_BAND}
    for name, seeds in [("development", DEVELOPMENT), ("check", CHECK)]:
        table = pd.DataFrame([row for seed in seeds for row in measure(seed)])
        results[name] = {"seeds": seeds, **summary(table)}
        print(name, pd.DataFrame(results[name]["by_sharpness"]), results[name], sep="\n")
    write_json(arguments.json, {**results, **environment()})


def cases(seed: int) -> Iterator[Labelled]:
    """Digits and the simulation, clean and with every kind of flip at four rates."""
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
        for rate in (0.1, 0.2, 0.3, 0.4):
            flipped = contaminate(truth, asymmetric, rate=rate, seed=seed)
            yield Labelled(name, "asymmetric", rate, x, flipped)
            flipped = contaminate(truth, symmetric, rate=rate, seed=seed)
            yield Labelled(name, "symmetric", rate, x, flipped)
            yield Labelled(name, "look-alike", rate, x, look_alike(x, truth, rate, seed))


def look_alike(x: np.ndarray, truth: np.ndarray, rate: float, seed: int) -> Contaminated:
    """Rows take the label of the class they resemble, the more likely the more they do."""
    rows = np.arange(len(truth))
    judge = make_pipeline(StandardScaler(), LogisticRegression(C=0.01)).fit(x, truth)
    p = judge.predict_proba(x)
    own = p[rows, truth]
    p[rows, truth] = 0
    odds = np.log(p.max(1) / own) + 2 * np.random.default_rng(seed).logistic(size=len(rows))
    contaminated = np.zeros(len(rows), dtype=bool)
    contaminated[np.argsort(-odds)[: round(rate * len(rows))]] = True
    return Contaminated(truth, np.where(contaminated, p.argmax(1), truth), contaminated)


def measure(seed: int) -> Iterator[dict[str, Any]]:
    """One row per case, classifier and way to set the sharpness."""
    for case in cases(seed):
        for name, make in CLASSIFIERS.items():
            folds = StratifiedKFold(5, shuffle=True, random_state=seed)
            p = cross_val_predict(
                make(seed), case.x, case.labels.observed, cv=folds, method="predict_proba"
            )
            described = {
                "seed": seed,
                "data": case.data,
                "flips": case.flips,
                "rate": case.rate,
                "classifier": name,
            }
            yield from ({**described, **judged} for judged in judge_all(case, p, seed))


def judge_all(case: Labelled, p: np.ndarray, seed: int) -> Iterator[dict[str, Any]]:
    """One minus the label's probability, every sharpness, and those that gold labels choose."""
    y, z = case.labels.observed, case.labels.contaminated
    plain = 1 - p[np.arange(len(y)), y]
    yield {"sharpness": "1 - p(label)", **_judged(plain, z)}
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
        "100 gold labels at random": drawn[:100],
        "30 gold labels at random": drawn[:30],
        "30 most suspicious gold labels": np.argsort(-plain)[:30],
    }
    for name, rows in looked_at.items():
        gold = np.full(len(y), -1)
        gold[rows] = case.labels.clean[rows]
        rest = gold < 0
        chosen = _responsibility(from_pred_probs(y, p, gold=gold))
        fixed = _responsibility(from_pred_probs(y, p, gold=gold, sharpness=SHARPNESS))
        yield {
            "sharpness": name,
            "brier_other_rows": _brier(chosen[rest], z[rest]),
            "brier_other_rows_default": _brier(fixed[rest], z[rest]),
            "brier_other_rows_without_gold": _brier(default[rest], z[rest]),
        }


def summary(table: pd.DataFrame) -> dict[str, Any]:
    """Means by sharpness, the clean rows flagged at worst, and where the truth is in the band."""
    groups = table.groupby("sharpness", sort=False)
    clean = table[table["rate"] == 0].pivot_table(
        index="sharpness", columns="data", values="flagged", aggfunc="max", sort=False
    )
    names = ["brier", "rate_error"]
    gold = [name for name in map(str, table) if name.startswith("brier_other_rows")]
    columns = groups[[*names, *gold]].mean()
    columns["clean_digits_flagged_at_most"] = clean["digits"]
    columns["clean_simulation_flagged_at_most"] = clean["simulation"]
    noisy = table[table["rate"] > 0]
    return {
        "by_sharpness": columns.astype(object).where(columns.notna(), None).to_dict("index"),
        "brier_by_flips": noisy.pivot_table(
            index=["data", "flips"], columns="sharpness", values="brier", sort=False
        )
        .reset_index()
        .to_dict("records"),
        "truth_in_band": table.groupby("flips")["in_band"].mean().to_dict(),
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


if __name__ == "__main__":
    main()
