"""Test the exit codes and remaining files of commands that are killed at random moments.

`nbam fit`, `score` and `detect` are each stopped by SIGTERM, SIGINT and SIGKILL at a random moment.
The output folder also contains another run and another file, which must stay unchanged. After a
SIGKILL, the same command runs again and must succeed. The summary counts the kills with errors.
"""

import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, final

import numpy as np
import pandas as pd
import typer

from benchmarks.benchmark import CPU, Benchmark, Case, Row
from benchmarks.options import Seed

_ROWS = 200
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGKILL)
_COMMANDS = {
    "fit": (["fit", "data.csv", "--label", "y", "--epochs", "40", "--out", "new"], "new"),
    "score": (["score", "run", "data.csv", "--out", "new.csv"], "new.csv"),
    "detect": (
        ["detect", "rows.csv", "--backbone", "ntl", "--epochs", "60", "--out", "new"],
        "new",
    ),
}


@dataclass
class Outcome:
    """Result of one kill.

    Attributes:
        command: Name of the command that was killed.
        signal: Name of the signal.
        after: Seconds between the start of the command and the signal.
        code: Exit code of the command.
        wrong: Errors that were found. The list is empty if there are none.
    """

    command: str
    signal: str
    after: float
    code: int
    wrong: list[str] = field(default_factory=list)


def prepare(folder: Path) -> None:
    """Write data, a run, an unrelated file, and an empty folder for temporary files."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(_ROWS, 3)), columns=["a", "b", "c"])
    frame.to_csv(folder / "rows.csv", index=False)
    frame["y"] = np.array(["ant", "bee"])[(frame["a"] > 0).astype(int)]
    frame.to_csv(folder / "data.csv", index=False)
    (folder / "mine.txt").write_text("mine")
    (folder / "tmp").mkdir()
    command = ["fit", "data.csv", "--label", "y", "--epochs", "2", "--out", "run"]
    _started(folder, command).communicate()


def kill(folder: Path, name: str, sent: signal.Signals, *, after: float) -> Outcome:
    """Start a command, stop it with a signal, and check the folder.

    Args:
        folder: Folder that `prepare` has filled.
        name: Name of the command to start.
        sent: Signal to send.
        after: Seconds between the start and the signal.
    """
    arguments, target = _COMMANDS[name]
    before = contents(folder)
    process = _started(folder, arguments)
    time.sleep(after)
    process.send_signal(sent)
    _, said = process.communicate()
    outcome = Outcome(name, sent.name, after, process.returncode)
    done = (folder / target).exists()  # a result is complete or absent
    if process.returncode == 0:
        if not done:
            outcome.wrong.append("no result")
    elif sent is signal.SIGKILL:
        hidden = f".{target}.nbam"  # the next run recognises this name
        known = {hidden, target} if done else {hidden}
        new = {path for path in contents(folder).keys() - before if path.split("/")[0] not in known}
        outcome.wrong += [f"left {path}" for path in sorted(new)]
        if process.returncode != -signal.SIGKILL:
            outcome.wrong.append("exit code")
    else:
        # A signal that arrives while Python starts gives the exit code of the signal.
        if process.returncode not in (128 + sent, -sent):
            outcome.wrong.append("exit code")
        if process.returncode > 0 and said.count("\n") != 1:
            outcome.wrong.append(f"said {said!r}")
        outcome.wrong += [f"left {path}" for path in sorted(contents(folder).keys() - before)]
    if sent is signal.SIGKILL and process.returncode != 0:
        again = _started(folder, [*arguments, "--overwrite"] if done else arguments)
        _, said = again.communicate()
        if again.returncode != 0:
            outcome.wrong.append(f"the next run ended with {again.returncode}: {said!r}")
    _remove(folder, target)
    if contents(folder) != before:
        outcome.wrong.append("an unrelated file was changed, or temporary files remain")
    return outcome


def contents(folder: Path) -> dict[str, str]:
    """Return the checksums of all files of a folder by path. Subfolders are listed, too."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        if path.is_file()
        else "folder"
        for path in folder.rglob("*")
    }


def _remove(folder: Path, target: str) -> None:
    path = folder / target
    for inside in sorted(path.rglob("*"), reverse=True) if path.is_dir() else []:
        inside.rmdir() if inside.is_dir() else inside.unlink()
    if path.is_dir():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


def _started(folder: Path, arguments: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "nbam_pyro.cli", *arguments],
        cwd=folder,
        env={**os.environ, "TMPDIR": str(folder / "tmp"), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def _lasts(folder: Path, name: str) -> float:
    """Return the seconds that a command takes if it is not stopped."""
    arguments, target = _COMMANDS[name]
    started = time.perf_counter()
    _started(folder, arguments).communicate()
    _remove(folder, target)
    return time.perf_counter() - started


@final
@dataclass(frozen=True, kw_only=True)
class Kills(Benchmark):
    """Test exit codes and remaining files of commands that are killed at random moments."""

    kills: Annotated[int, typer.Option(min=1, help="Number of commands to kill.")] = 30
    seed: Seed = 0

    def measure(self, known: Collection[Case]) -> Iterator[Row]:
        """Yield one row per kill."""
        rng = random.Random(self.seed)
        # A shell lets background processes ignore SIGINT, and commands would inherit that.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with tempfile.TemporaryDirectory() as parent:
            folder = Path(parent)
            prepare(folder)
            seconds = {name: _lasts(folder, name) for name in _COMMANDS}
            for number in range(self.kills):
                name = list(_COMMANDS)[number % 3]
                sent = _SIGNALS[number // 3 % 3]
                after = rng.uniform(0, 1.05 * seconds[name])
                settings = {"signal": sent.name, "number": number}
                case = Case(data="rows", method=name, seed=self.seed, settings=settings)
                if case not in known:
                    yield _row(case, kill(folder, name, sent, after=after))

    @staticmethod
    def summary(rows: pd.DataFrame) -> str:
        """Return the number of kills with errors."""
        return f"{(rows['mistakes'] > 0).sum()} of {len(rows)} are wrong"


def _row(case: Case, outcome: Outcome) -> Row:
    figures = {"after": outcome.after, "code": outcome.code, "mistakes": len(outcome.wrong)}
    notes = {"wrong": "; ".join(outcome.wrong)}
    return Row(case=case, figures=figures, notes=notes, device=CPU)
