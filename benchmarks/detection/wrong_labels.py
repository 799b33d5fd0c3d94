"""Effect of labelled anomalies of the wrong type on the AUC.

The data are digits. One class is normal, and some images of one other class are labelled as
anomalies. The test compares the normal class with each other class. The objective with a separation
term for labelled anomalies (SAD) is compared with the objective without it (SVDD).
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
import pandas as pd
import torch
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

from benchmarks.benchmark import CPU, Benchmark, Case, Row
from benchmarks.options import FirstSeed, Seeds
from nbam_pyro.detection import UnifiedObjective, Weights, train_objective
from nbam_pyro.detection.unified.objective import SAD, SVDD

NORMAL, LABELLED, COUNT = 8, 0, 20


def aucs(weights: Weights, seed: int) -> dict[int, float]:
    """Train one objective and return the AUC against each other class, by class."""
    x, y = load_digits(return_X_y=True)
    x = torch.as_tensor(x / 16).float()
    rng = np.random.default_rng(seed)
    normal = rng.permutation(np.flatnonzero(y == NORMAL))
    train, held_out = normal[:90], normal[90:]
    labelled = rng.choice(np.flatnonzero(y == LABELLED), COUNT, replace=False)
    index = np.r_[train, labelled]
    observed = torch.as_tensor(np.where(y[index] == LABELLED, 1, -1))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        objective = UnifiedObjective(64, weights=weights)
        train_objective(objective, x[index], observed, epochs=100)
    scores = objective.scores(x).numpy()
    found = {}
    for other in np.setdiff1d(np.arange(10), NORMAL):
        odd = np.setdiff1d(np.flatnonzero(y == other), labelled)
        truth = np.r_[np.zeros(len(held_out)), np.ones(len(odd))]
        found[int(other)] = float(roc_auc_score(truth, scores[np.r_[held_out, odd]]))
    return found


WAYS = {"without": SVDD, "told": SAD}


@final
@dataclass(frozen=True, kw_only=True)
class WrongLabels(Benchmark):
    """AUC of a detector for each digit class, with and without labelled anomalies of one class."""

    seeds: Seeds = 5
    first_seed: FirstSeed = 0

    def measure(self, known: Collection[Case]) -> Iterator[Row]:
        """Yield one row per seed, objective and class of the test anomalies."""
        for seed in range(self.first_seed, self.first_seed + self.seeds):
            for way, weights in WAYS.items():
                if _case(way, seed, LABELLED) in known:
                    continue
                for other, auc in aucs(weights, seed).items():
                    yield Row(case=_case(way, seed, other), figures={"auc": auc}, device=CPU)

    @staticmethod
    def summary(rows: pd.DataFrame) -> str:
        """Return a table of mean AUCs by class and objective, and their difference."""
        table = rows.pivot_table(index="anomaly", columns="method", values="auc")[[*WAYS]]
        table["gain"] = table["told"] - table["without"]
        head = f"{NORMAL} is normal, {COUNT} images of {LABELLED} are labelled anomalies; AUC:"
        return f"{head}\n{table.round(3).to_string()}"


def _case(way: str, seed: int, anomaly: int) -> Case:
    return Case(data="digits", method=way, seed=seed, settings={"anomaly": anomaly})
