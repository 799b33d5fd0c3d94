"""Densities that are nearly correct, but rank every outlier as more normal than all normal rows.

P is the uniform distribution on a million atoms. Q is a set of n other atoms, and
P_n = (1 - n / 10^6) P + n / 10^6 U(Q). Each P_n is judged as a detector that separates U(Q) from P
(Zhang, Goldstein & Ranganath 2021).
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import final

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.metrics import roc_auc_score

from benchmarks.benchmark import CPU, Benchmark, Case, Row
from benchmarks.report import DOCS, RESULTS, Report
from nbam_pyro.detection import LikelihoodRatio, LogLikelihood, Typicality

ATOMS = 1_000_000
SIZES = (0, 10_000, 1_000, 100)


def density(n: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return log P_n as a function of atoms. 0 to 999,999 belong to P, larger numbers to Q."""
    share = n / ATOMS
    with np.errstate(divide="ignore"):
        outside = float(np.log(share / n)) if n else -np.inf
    return lambda x: np.where(x < ATOMS, np.log((1 - share) / ATOMS), outside)


def judge(n: int) -> dict[str, float]:
    """Return mean log-likelihood on P, probability mass on P, and the AUC of three statistics."""
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
    return {"log_likelihood": float(log_p(normal).mean()), "mass": mass, **found}


def figure(rows: pd.DataFrame) -> Figure:
    """Plot the AUC of each statistic, by density.

    Args:
        rows: One row per case, as `rows.wide` returns them.
    """
    drawn, ax = plt.subplots(figsize=(9, 3.5), layout="constrained")
    for i, name in enumerate(["auc_likelihood", "auc_typicality", "auc_ratio"]):
        at = np.arange(len(rows)) + 0.25 * (i - 1)
        ax.bar(at, rows[name], 0.22, label=name.removeprefix("auc_"))
    labels = [
        f"{_name(int(row['n']))}\nmean log p {row['log_likelihood']:.4f}"
        for _, row in rows.iterrows()
    ]
    ax.set_xticks(range(len(rows)), labels)
    ax.set_ylabel("AUC against U(Q)")
    ax.set_title("All but the right density, and all the wrong ranking")
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return drawn


def _name(n: int) -> str:
    return f"P and {n:,} others" if n else "P"


@final
@dataclass(frozen=True, kw_only=True)
class FailureTable(Benchmark):
    """AUC of test statistics of densities that are nearly correct but rank outliers wrongly."""

    def measure(self, known: Collection[Case]) -> Iterator[Row]:
        """Yield one row for P, and one for each of three densities that are close to P."""
        for n in SIZES:
            case = Case(data="atoms", method="statistics", settings={"n": n})
            if case not in known:
                yield Row(case=case, figures=judge(n), device=CPU)

    @staticmethod
    def summary(rows: pd.DataFrame) -> str:
        """Return a table of all figures."""
        columns = ["n", "log_likelihood", "mass", "auc_likelihood", "auc_typicality", "auc_ratio"]
        return rows[columns].round(4).to_string(index=False)


FAILURE_TABLE = Report(
    name="failure-table",
    results=RESULTS / "failure-table.parquet",
    figure=DOCS / "figures" / "failure_table.png",
    draw=figure,
)
