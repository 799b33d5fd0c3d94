"""`from_signal` on simulated series with bursts, beside the posterior with known parameters.

Series have 3,000 rows, 20 % of them contaminated: N(0, 1) if clean and N(1.5, 1) if contaminated.
`from_signal` sees only the values and estimates all six parameters. The figures are averages over
seeds. The interval of the dwell is checked on further series, with seeds from 1,000.
"""

import time
import warnings
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Annotated, final

import numpy as np
import pandas as pd
import torch
import typer
from sklearn.metrics import roc_auc_score

from benchmarks.benchmark import CPU, Benchmark, Case, Row
from benchmarks.options import Seeds
from benchmarks.report import DOCS, RESULTS, Report
from benchmarks.series.simulated import known_responsibility, simulated
from nbam_pyro import functional as nf
from nbam_pyro.errors import NBAMWarning
from nbam_pyro.outputs import from_signal

__all__ = ["CHAINS", "Chains"]

_DWELLS = (1.25, 2.0, 5.0, 10.0, 20.0)
_ROWS, _LONG = 3000, 100_000
_FIRST = 1000
_PROBABILITY = 0.9
_METHOD = "from_signal"


@final
@dataclass(frozen=True, kw_only=True)
class Chains(Benchmark):
    """Bursts in simulated series, with estimated parameters beside known ones."""

    seeds: Seeds = 4
    simulations: Annotated[
        int, typer.Option(min=0, help="Number of series on which the interval is checked.")
    ] = 100

    def measure(self, known: Collection[Case]) -> Iterator[Row]:
        """Yield one row per dwell and quantity, then coverage and time."""
        for dwell in _DWELLS:
            cases = [_case(f"{name}, dwell {dwell:g}") for name in ("auroc", "brier")]
            if any(case not in known for case in cases):
                for case, (value, best) in zip(cases, self._figures(dwell), strict=True):
                    yield _row(case, value, best)
        case = _case("coverage of the dwell")
        if self.simulations and case not in known:
            yield _row(case, self._coverage(), _PROBABILITY)
        case = _case(f"seconds of the gradient, {_LONG:,} rows")
        if case not in known:
            yield _row(case, _seconds(), None)

    def _figures(self, dwell: float) -> Iterator[tuple[float, float]]:
        series = [simulated(_ROWS, dwell, seed=seed) for seed in range(self.seeds)]
        learned = [_responsibility(one.y) for one in series]
        best = [known_responsibility(one) for one in series]
        for figure in (roc_auc_score, _brier):
            yield tuple(  # type: ignore[misc]
                float(np.mean([figure(one.z, r) for one, r in zip(series, found, strict=True)]))
                for found in (learned, best)
            )

    def _coverage(self) -> float:
        inside = 0
        for seed in range(_FIRST, _FIRST + self.simulations):
            one = simulated(_ROWS, _DWELLS[seed % len(_DWELLS)], seed=seed)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", NBAMWarning)
                low, high = from_signal(one.y, probability=_PROBABILITY).dwell_interval
            inside += low <= one.dwell <= high
        return inside / self.simulations

    @staticmethod
    def summary(rows: pd.DataFrame) -> str:
        """Return the table of the figures."""
        return chains_table(rows)


def _case(quantity: str) -> Case:
    return Case(data="simulated", method=_METHOD, settings={"quantity": quantity})


def _row(case: Case, value: float, known: float | None) -> Row:
    return Row(case=case, figures={"value": value, "known": known}, device=CPU)


def _responsibility(y: np.ndarray) -> np.ndarray:
    return from_signal(y).rows["responsibility"].to_numpy()


def _brier(z: np.ndarray, r: np.ndarray) -> float:
    return float(((r - z) ** 2).mean())


def _seconds() -> float:
    generator = torch.Generator().manual_seed(0)
    e = torch.randn(_LONG, 2, dtype=torch.double, generator=generator)
    share, dwell = torch.tensor([0.2, 5.0], dtype=torch.double)
    started = time.perf_counter()
    nf.chain_responsibility(nf.chain_start(share), nf.chain_transitions(share, dwell), e)
    return time.perf_counter() - started


def chains_table(rows: pd.DataFrame) -> str:
    """Return a table with one line per quantity.

    Args:
        rows: One row per case.
    """
    lines = ["| quantity | estimated parameters | known parameters |", "|---|---|---|"]
    for one in rows.to_dict("records"):
        best = "" if pd.isna(one["known"]) else f"{one['known']:.3f}"
        lines.append(f"| {one['quantity']} | {one['value']:.3f} | {best} |")
    return "\n".join(lines)


CHAINS = Report(
    name="chains",
    results=RESULTS / "chains.parquet",
    document=DOCS / "benchmarks" / "chains.md",
    text=chains_table,
)
