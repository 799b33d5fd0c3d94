"""What `from_pred_probs` costs on a million rows: seconds and memory.

    OMP_NUM_THREADS=2 python -m benchmarks.pred_probs --json benchmarks/results/pred_probs.json

Simulated labels of ten classes, a fifth of them wrong, and probabilities of the observed label;
the band of sharpness values is part of the call. Memory is the peak of this process, Python, torch
and the simulated arrays included. CPU seconds are of all threads; on a shared machine fewer than
seconds.
"""

import argparse
import resource
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.common import environment, write_json
from nbam_pyro import from_pred_probs


def main() -> None:
    """Measure and write the JSON file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--classes", type=int, default=10)
    arguments = parser.parse_args()
    labels, p, wrong = simulate(arguments.rows, arguments.classes)
    before = peak_bytes()
    started, cpu_started = time.perf_counter(), time.process_time()
    report = from_pred_probs(labels, p)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
    r = report.rows["responsibility"].to_numpy()
    results = {
        "rows": arguments.rows,
        "classes": arguments.classes,
        "sharpness_values": len(report.band),
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "peak_mb": peak_bytes() / 1e6,
        "peak_mb_before": before / 1e6,
        "rate": report.contamination["rate"],
        "rate_true": float(wrong.mean()),
        "brier": float(((r - wrong) ** 2).mean()),
        **environment(),
    }
    write_json(arguments.json, results)
    print(arguments.json.read_text())


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


if __name__ == "__main__":
    main()
