"""Commands killed at random moments: exit codes, and what is left behind.

Each of `nbam fit`, `score` and `detect` is ended by SIGTERM, SIGINT and SIGKILL in turn, somewhere
between its start and its end, while another run and another file lie beside what it writes. After a
SIGKILL the same command is run again, to its end. The table counts what is wrong.
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
    "detect": (["detect", "rows.csv", "--epochs", "60", "--out", "new"], "new"),
}


@dataclass
class Outcome:
    """What a kill has led to.

    Attributes:
        command: Command that was killed.
        signal: Signal it was sent.
        after: Seconds after its start.
        code: Exit code.
        wrong: What is wrong, if anything.
    """

    command: str
    signal: str
    after: float
    code: int
    wrong: list[str] = field(default_factory=list)


def prepare(folder: Path) -> None:
    """Write data, a run, a file of somebody else, and an empty folder for temporary files."""
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
    """Start a command, end it, and look at what is left.

    Args:
        folder: Folder that `prepare` has filled.
        name: Command to start.
        sent: Signal to end it with.
        after: Seconds between.
    """
    arguments, target = _COMMANDS[name]
    before = contents(folder)
    process = _started(folder, arguments)
    time.sleep(after)
    process.send_signal(sent)
    _, said = process.communicate()
    outcome = Outcome(name, sent.name, after, process.returncode)
    done = (folder / target).exists()  # a result appears whole, or not at all
    if process.returncode == 0:
        if not done:
            outcome.wrong.append("no result")
    elif sent is signal.SIGKILL:
        hidden = f".{target}.nbam"  # the next run knows it by this name
        known = {hidden, target} if done else {hidden}
        new = {path for path in contents(folder).keys() - before if path.split("/")[0] not in known}
        outcome.wrong += [f"left {path}" for path in sorted(new)]
        if process.returncode != -signal.SIGKILL:
            outcome.wrong.append("exit code")
    else:
        # Python itself takes a moment before any code of ours can answer.
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
        outcome.wrong.append("another file was touched, or something is left")
    return outcome


def contents(folder: Path) -> dict[str, str]:
    """Checksums of all files of a folder, and its folders, by path."""
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
        [sys.executable, "-m", "nbam_pyro", *arguments],
        cwd=folder,
        env={**os.environ, "TMPDIR": str(folder / "tmp"), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def _lasts(folder: Path, name: str) -> float:
    """Seconds that a command takes to its end."""
    arguments, target = _COMMANDS[name]
    started = time.perf_counter()
    _started(folder, arguments).communicate()
    _remove(folder, target)
    return time.perf_counter() - started


@final
@dataclass(frozen=True, kw_only=True)
class Kills(Benchmark):
    """Exit codes, and what is left behind, when commands are killed at random moments."""

    kills: Annotated[int, typer.Option(min=1, help="Number of commands to kill.")] = 30
    seed: Seed = 0

    def measure(self, known: Collection[Case]) -> Iterator[Row]:
        """One row per kill."""
        rng = random.Random(self.seed)
        # A process that a shell started in the background ignores it, and so would the commands.
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
        """How many kills led to something wrong."""
        return f"{(rows['mistakes'] > 0).sum()} of {len(rows)} are wrong"


def _row(case: Case, outcome: Outcome) -> Row:
    figures = {"after": outcome.after, "code": outcome.code, "mistakes": len(outcome.wrong)}
    notes = {"wrong": "; ".join(outcome.wrong)}
    return Row(case=case, figures=figures, notes=notes, device=CPU)
