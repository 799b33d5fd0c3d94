"""A density that is all but right, and ranks every outlier as more normal than any normal row.

    python -m benchmarks.failure_table --json benchmarks/results/failure_table.json \
        --figure docs/failure_table.png

P is uniform on a million atoms; P_n = (1 - n / 10^6) P + n / 10^6 U(Q) with Q n other atoms. Every
density is judged as a detector of U(Q) against P (Zhang, Goldstein & Ranganath 2021).
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import matplotlib.pyplot as plt
import numpy as np
import typer
from sklearn.metrics import roc_auc_score

from benchmarks.common import write_json
from nbam_pyro.detection import LikelihoodRatio, LogLikelihood, Typicality

ATOMS = 1_000_000
SIZES = (0, 10_000, 1_000, 100)


def density(n: int) -> Callable[[np.ndarray], np.ndarray]:
    """log P_n by atom: 0 to 999,999 are those of P, n more those of Q."""
    share = n / ATOMS
    with np.errstate(divide="ignore"):
        outside = float(np.log(share / n)) if n else -np.inf
    return lambda x: np.where(x < ATOMS, np.log((1 - share) / ATOMS), outside)


def judge(n: int) -> dict[str, Any]:
    """Mean log-likelihood on P, mass on P, and the AUC of three statistics."""
    log_p = density(n)
    normal, odd = np.arange(0, ATOMS, 100), ATOMS + np.arange(n or 100)
    x, truth = np.r_[normal, odd], np.r_[np.zeros(len(normal)), np.ones(len(odd))]
    statistics = {
        "likelihood": LogLikelihood(log_p),
        "typicality": Typicality(log_p, normal),
        "ratio": LikelihoodRatio(log_p, lambda atoms: np.where(atoms < ATOMS, -50.0, -10.0)),
    }
    found = {
        f"auc_{name}": float(roc_auc_score(truth, np.nan_to_num(statistic(x))))
        for name, statistic in statistics.items()
    }
    mass = float(np.exp(log_p(normal[:1]))[0] * ATOMS)
    return {"n": n, "log_likelihood": float(log_p(normal).mean()), "mass": mass, **found}


def main(
    json_file: Annotated[Path | None, typer.Option("--json", help="File to write.")] = None,
    figure: Annotated[Path | None, typer.Option(help="Picture to write.")] = None,
) -> None:
    """Judge P and three densities that are all but P."""
    rows = [judge(n) for n in SIZES]
    for row in rows:
        typer.echo(" ".join(f"{name} {value:.4f}" for name, value in row.items()))
    if json_file is not None:
        write_json(json_file, rows)
    if figure is not None:
        drawn, ax = plt.subplots(figsize=(9, 3.5), layout="constrained")
        names = ["auc_likelihood", "auc_typicality", "auc_ratio"]
        for i, name in enumerate(names):
            at = np.arange(len(rows)) + 0.25 * (i - 1)
            ax.bar(at, [row[name] for row in rows], 0.22, label=name.removeprefix("auc_"))
        labels = [f"{_name(row['n'])}\nmean log p {row['log_likelihood']:.4f}" for row in rows]
        ax.set_xticks(range(len(rows)), labels)
        ax.set_ylabel("AUC against U(Q)")
        ax.set_title("All but the right density, and all the wrong ranking")
        ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
        drawn.savefig(figure, dpi=150)


def _name(n: int) -> str:
    return f"P and {n:,} others" if n else "P"


if __name__ == "__main__":
    typer.run(main)
