"""Time and memory of `from_pred_probs` on a million rows.

The data are simulated labels of ten classes, of which a fifth are wrong, and probabilities of the
observed label. The call averages over the sharpness. Memory is the peak of this process,
including Python, torch and the simulated arrays. CPU seconds are the sum over all threads. On a
shared machine they can be smaller than the elapsed seconds.
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
        """Yield one row with the figures of a single call."""
        settings = {"rows": self.rows, "classes": self.classes}
        case = Case(data="simulation", method="from_pred_probs", settings=settings)
        if case not in known:
            yield Row(case=case, figures=measure(self.rows, self.classes), device=CPU)

    @staticmethod
    def summary(rows: pd.DataFrame) -> str:
        """Return a list of all figures."""
        return rows.drop(columns=["data", "method", "seed"]).T.to_string(header=False)


def measure(n: int, k: int) -> dict[str, float]:
    """Call `from_pred_probs` once and return its figures by name."""
    labels, p, wrong = simulate(n, k)
    before = peak_bytes()
    started, cpu_started = time.perf_counter(), time.process_time()
    report = from_pred_probs(labels, p)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
    r = report.rows["responsibility"].to_numpy()
    return {
        "sharpness_values": 0 if report.labels is None else len(report.labels.sharpness),
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "peak_mb": peak_bytes() / 1e6,
        "peak_mb_before": before / 1e6,
        "rate": report.contamination,
        "rate_true": float(wrong.mean()),
        "brier": float(((r - wrong) ** 2).mean()),
    }


def simulate(n: int, k: int, *, rate: float = 0.2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return observed labels, p(observed | x) in float32, and whether each label is wrong."""
    rng = np.random.default_rng(0)
    f = rng.standard_normal((n, k), dtype=np.float32)
    np.exp(np.multiply(f, 4, out=f), out=f)
    f /= f.sum(1, keepdims=True)
    true = (f.cumsum(1) > rng.random((n, 1), dtype=np.float32)).argmax(1)
    wrong = rng.random(n) < rate
    p = (1 - rate) * f + rate * np.roll(f, 1, axis=1)
    return np.where(wrong, (true + 1) % k, true), p, wrong


def peak_bytes() -> int:
    """Return the peak resident memory of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
