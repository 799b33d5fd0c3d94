"""Labelled anomalies of the wrong type can hurt.

    python -m benchmarks.wrong_labels --seeds 5 --json benchmarks/results/wrong_labels.json

Digits: one class is normal, some anomalies of one other class are labelled, and every class is
tested by itself. The objective with a separation term (SAD) against the same without (SVDD).
"""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import torch
import typer
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

from benchmarks.common import environment, write_json
from nbam_pyro.detection import UnifiedObjective, train_objective
from nbam_pyro.detection.unified.objective import SAD, SVDD, Weights

NORMAL, LABELLED, COUNT = 8, 0, 20


def aucs(weights: Weights, seed: int) -> dict[int, float]:
    """AUC of the normal class against every other, by class."""
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


def main(
    seeds: Annotated[int, typer.Option(help="Seeds 0, 1, ...")] = 5,
    first_seed: Annotated[int, typer.Option(help="The first seed.")] = 0,
    json_file: Annotated[Path | None, typer.Option("--json", help="File to write.")] = None,
) -> None:
    """Measure with and without labelled anomalies of one class."""
    rows: list[dict[str, Any]] = []
    for seed in range(first_seed, first_seed + seeds):
        without, told = aucs(SVDD, seed), aucs(SAD, seed)
        rows += [
            {"seed": seed, "anomaly": other, "without": without[other], "told": told[other]}
            for other in without
        ]
    table = pd.DataFrame(rows).groupby("anomaly")[["without", "told"]].mean()
    table["gain"] = table["told"] - table["without"]
    typer.echo(f"{NORMAL} is normal, {COUNT} images of {LABELLED} are labelled anomalies; AUC:")
    typer.echo(table.round(3).to_string())
    if json_file is not None:
        write_json(json_file, [row | environment(torch.device("cpu")) for row in rows])


if __name__ == "__main__":
    typer.run(main)
