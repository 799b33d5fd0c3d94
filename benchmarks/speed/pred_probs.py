"""What `from_pred_probs` costs on a million rows: seconds and memory.

Simulated labels of ten classes, a fifth of them wrong, and probabilities of the observed label;
the band of sharpness values is part of the call. Memory is the peak of this process, Python, torch
and the simulated arrays included. CPU seconds are of all threads; on a shared machine fewer than
seconds.
"""

import resource
import sys
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Annotated, final

import numpy as np
import pandas as pd
import typer

from benchmarks.benchmark import CPU, Benchmark, Case, Row
from nbam_pyro import from_pred_probs


@final
@dataclass(frozen=True, kw_only=True)
class PredProbs(Benchmark):
    """Seconds and memory of `from_pred_probs` on a million rows."""

    rows: Annotated[int, typer.Option(min=1, help="Number of rows.")] = 1_000_000
    classes: Annotated[int, typer.Option(min=2, help="Number of classes.")] = 10

    def measure(self, known: Collection[Case]) -> Iterator[Row]:
        """One row."""
        settings = {"rows": self.rows, "classes": self.classes}
        case = Case(data="simulation", method="from_pred_probs", settings=settings)
        if case not in known:
            yield Row(case=case, figures=measure(self.rows, self.classes), device=CPU)

    @staticmethod
    def summary(rows: pd.DataFrame) -> str:
        """All figures."""
        return rows.drop(columns=["data", "method", "seed"]).T.to_string(header=False)


def measure(n: int, k: int) -> dict[str, float]:
    """Figures of one call."""
    labels, p, wrong = simulate(n, k)
    before = peak_bytes()
    started, cpu_started = time.perf_counter(), time.process_time()
    report = from_pred_probs(labels, p)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
    r = report.rows["responsibility"].to_numpy()
    return {
        "sharpness_values": len(report.band),
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "peak_mb": peak_bytes() / 1e6,
        "peak_mb_before": before / 1e6,
        "rate": float(report.contamination["rate"]),
        "rate_true": float(wrong.mean()),
        "brier": float(((r - wrong) ** 2).mean()),
    }


def simulate(n: int, k: int, *, rate: float = 0.2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Observed labels, probabilities p(observed | x) in float32, and which labels are wrong."""
    rng = np.random.default_rng(0)
    f = rng.standard_normal((n, k), dtype=np.float32)
    np.exp(np.multiply(f, 4, out=f), out=f)
    f /= f.sum(1, keepdims=True)
    true = (f.cumsum(1) > rng.random((n, 1), dtype=np.float32)).argmax(1)
    wrong = rng.random(n) < rate
    p = (1 - rate) * f + rate * np.roll(f, 1, axis=1)
    return np.where(wrong, (true + 1) % k, true), p, wrong


def peak_bytes() -> int:
    """The largest resident memory of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
