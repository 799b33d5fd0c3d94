"""CPU seconds of imports and of short commands, beside imports that their users know.

Each measurement is a new process. A process and its yardstick alternate, and each round gives one
ratio of their CPU seconds; the result is the median over rounds. CPU seconds depend less on other
work on the machine than elapsed seconds.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, final

import numpy as np
import pandas as pd
import typer

from benchmarks.benchmark import CPU, Benchmark, Case, Row

_PANDAS, _PYRO = "import pandas", "import pyro, torch"
# Imports, and the import that each is compared with.
_IMPORTS = {
    "import nbam_pyro": _PANDAS,
    "from nbam_pyro import NBAMLoss": _PYRO,
    "from nbam_pyro import fit": _PYRO,
    "from nbam_pyro import NBAMClassifier": _PYRO,
    "from nbam_pyro.detection import AnomalyDetector": _PYRO,
}
# Commands, and the import that each is compared with.
_COMMANDS = {"--help": _PANDAS, "show": _PANDAS, "score": _PYRO}


@final
@dataclass(frozen=True, kw_only=True)
class Startup(Benchmark):
    """CPU seconds of imports and of short commands, compared with imports of pandas or Pyro."""

    rounds: Annotated[int, typer.Option(min=1, help="Rounds of each comparison.")] = 9

    def measure(self, known: Collection[Case]) -> Iterator[Row]:
        """Yield one row for each import and each command."""
        with tempfile.TemporaryDirectory() as parent:
            codes = {code: ["-c", code] for code in _IMPORTS} | _commands(Path(parent))
            yardsticks = _IMPORTS | {f"nbam {name}": than for name, than in _COMMANDS.items()}
            for name, code in codes.items():
                case = Case(data=yardsticks[name], method=name)
                if case not in known:
                    figures = compared(code, ["-c", yardsticks[name]], rounds=self.rounds)
                    yield Row(case=case, figures=figures, device=CPU)

    @staticmethod
    def summary(rows: pd.DataFrame) -> str:
        """Return a table of all figures."""
        return rows.drop(columns=["seed", "device"]).round(2).to_string(index=False)


def compared(one: list[str], other: list[str], *, rounds: int) -> dict[str, float]:
    """Return median CPU seconds of two processes of Python, and the median of their ratio.

    Args:
        one: Arguments of Python.
        other: Arguments of Python for the yardstick.
        rounds: Number of pairs of processes that count. One more pair fills the disk cache.
    """
    pairs = [(cpu_seconds(one), cpu_seconds(other)) for _ in range(rounds + 1)][1:]
    return {
        "ratio": statistics.median(a / b for a, b in pairs),
        "cpu_seconds": statistics.median(a for a, _ in pairs),
        "cpu_seconds_yardstick": statistics.median(b for _, b in pairs),
    }


def cpu_seconds(arguments: list[str]) -> float:
    """Return the CPU seconds of one process of Python; its output is discarded.

    Args:
        arguments: Arguments of Python.
    """
    before = os.times()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    after = os.times()
    return (
        after.children_user - before.children_user + after.children_system - before.children_system
    )


def _commands(folder: Path) -> dict[str, list[str]]:
    """Fit a small table, and return the arguments of Python for each command on its run."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(60, 3)), columns=["a", "b", "c"])
    frame["y"] = np.array(["ant", "bee", "cat"])[np.arange(60) % 3]
    data, run, scores = folder / "data.csv", str(folder / "run"), str(folder / "scores.csv")
    frame.to_csv(data, index=False)
    nbam = ["-m", "nbam_pyro.cli"]
    fit = [*nbam, "fit", str(data), "--label", "y", "--epochs", "2", "--out", run]
    subprocess.run([sys.executable, *fit], check=True, capture_output=True)
    return {
        "nbam --help": [*nbam, "--help"],
        "nbam show": [*nbam, "show", run],
        "nbam score": [*nbam, "score", run, str(data), "--out", scores, "--overwrite"],
    }
