"""One step of the benchmark `scale`, in the process that it is measured in."""

import json
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from benchmarks.speed.pred_probs import peak_bytes
from nbam_pyro.cli.runs import fit_file, score_file
from nbam_pyro.cli.runs.folder import read_run
from nbam_pyro.cli.runs.scoring import labelled_scorer, write_block
from nbam_pyro.training.tensors import in_precision, precision_of

# Rows in one pass of the network, as in scoring.
_PASS = 2048


class _Clock:
    """Seconds of the clock and of the CPU that blocks of code take."""

    def __init__(self) -> None:
        self.seconds = self.cpu_seconds = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        started, cpu_started = time.perf_counter(), time.process_time()
        yield
        self.seconds += time.perf_counter() - started
        self.cpu_seconds += time.process_time() - cpu_started


def step(
    *, step: str, data: str, run: str, out: str, epochs: int, threads: int
) -> dict[str, float]:
    """Run one step and return its figures by name.

    Args:
        step: "fit", "score", or "score beside the network".
        data: Parquet file.
        run: Run folder, which a fit writes.
        out: Folder for the scores.
        epochs: Epochs of one training run of the fit.
        threads: Number of threads.
    """
    torch.set_num_threads(threads)
    if step == "score beside the network":
        return beside_network(Path(run), Path(data), Path(out).with_suffix(".part"))
    before, clock = peak_bytes(), _Clock()
    shutil.rmtree(out, ignore_errors=True)
    with clock.running():
        if step == "fit":
            fit_file(Path(data), Path(run), label="y", epochs=epochs, overwrite=True)
        else:
            score_file(Path(run), Path(data), Path(out))
    shutil.rmtree(out, ignore_errors=True)
    return {
        "seconds": clock.seconds,
        "cpu_seconds": clock.cpu_seconds,
        "peak_memory_gb": peak_bytes() / 1e9,
        "peak_memory_gb_before": before / 1e9,
    }


def beside_network(run: Path, data: Path, out: Path) -> dict[str, float]:
    """Score blocks of rows, and run the bare network on the same blocks in turn.

    Args:
        run: Run folder.
        data: Parquet file.
        out: File for the scores of a block.
    """
    scorer = labelled_scorer(run, data)
    fit, info = read_run(run)
    network = fit.story.network
    scored, bare, rows = _Clock(), _Clock(), 0
    blocks = scorer.blocks(data, skip=0)
    while True:
        with scored.running():
            source = next(blocks, None)
            if source is None:
                break
            write_block(scorer.table(source)[0], out, scorer)
        x = in_precision(torch.as_tensor(info.encoding.encode(source.x).x), precision_of(fit.story))
        with bare.running(), torch.no_grad():
            for part in x.split(_PASS):
                network(part)
        rows += len(x)
    out.unlink()
    return {
        "seconds": scored.seconds,
        "cpu_seconds": scored.cpu_seconds,
        "peak_memory_gb": peak_bytes() / 1e9,
        "relative_throughput": bare.seconds / scored.seconds,
        "relative_throughput_cpu": bare.cpu_seconds / scored.cpu_seconds,
        "network_rows_per_cpu_second": rows / bare.cpu_seconds,
    }


if __name__ == "__main__":
    arguments: dict[str, Any] = json.loads(sys.argv[1])
    print(json.dumps(step(**arguments)))
