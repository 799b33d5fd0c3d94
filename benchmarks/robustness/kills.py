"""Test exit codes, remaining files and results of commands that are killed at random moments.

`nbam fit`, `score` and `detect` are each stopped by SIGTERM, SIGINT and SIGKILL at a random moment.
Then the same command runs again. It must succeed with the result of a command that was not stopped,
and leave nothing else. The output folder also contains another run and another file, which must
stay unchanged. The summary counts the kills with errors.
"""

import hashlib
import os
import random
import shutil
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
    started(folder, command).communicate()


def kill(
    folder: Path, name: str, sent: signal.Signals, *, after: float, whole: dict[str, str]
) -> Outcome:
    """Start a command, stop it with a signal, check the folder, and run the command again.

    Args:
        folder: Folder that `prepare` has filled.
        name: Name of the command to start.
        sent: Signal to send.
        after: Seconds between the start and the signal.
        whole: Result of the command, as `finished` returns it.
    """
    arguments, target = _COMMANDS[name]
    before = contents(folder)
    process = started(folder, arguments)
    time.sleep(after)
    process.send_signal(sent)
    _, said = process.communicate()
    outcome = Outcome(name, sent.name, after, process.returncode)
    done = (folder / target).exists()  # a result is complete or absent
    hidden = f".{target}.nbam"  # the next run recognises this name
    known = {hidden, target} if done else {hidden}
    new = contents(folder).keys() - before.keys()
    outcome.wrong += [f"left {path}" for path in sorted(new) if path.split("/")[0] not in known]
    if process.returncode != 0:
        # A signal that arrives while Python starts gives the exit code of the signal.
        codes = (-sent,) if sent is signal.SIGKILL else (128 + sent, -sent)
        if process.returncode not in codes:
            outcome.wrong.append("exit code")
        if process.returncode > 0 and said.count("\n") != 1:
            outcome.wrong.append(f"said {said!r}")
    if done:
        outcome.wrong += _differences(folder / target, whole)
    again = started(folder, [*arguments, "--overwrite"] if done else arguments)
    _, said = again.communicate()
    if again.returncode != 0:
        outcome.wrong.append(f"the next run ended with {again.returncode}: {said!r}")
    else:
        outcome.wrong += _differences(folder / target, whole)
    remove(folder / target)
    if contents(folder) != before:
        outcome.wrong.append("an unrelated file was changed, or temporary files remain")
    return outcome


def finished(folder: Path, name: str) -> tuple[dict[str, str], float]:
    """Return the result of a command that is not stopped, and the seconds that it takes.

    Args:
        folder: Folder that `prepare` has filled.
        name: Name of the command.

    Returns:
        Checksums of the files that the command writes, without those that contain times.
    """
    arguments, target = _COMMANDS[name]
    start = time.perf_counter()
    started(folder, arguments).communicate()
    seconds = time.perf_counter() - start
    whole = _checksums(folder / target)
    remove(folder / target)
    return whole, seconds


def _checksums(target: Path) -> dict[str, str]:
    if target.is_file():
        return {target.name: hashlib.sha256(target.read_bytes()).hexdigest()}
    timed = ("summary.json", "manifest.json")
    return {path: one for path, one in contents(target).items() if path not in timed}


def _differences(target: Path, whole: dict[str, str]) -> list[str]:
    here = _checksums(target) if target.exists() else {}
    return [f"another {path}" for path in whole if here.get(path) != whole[path]]


def contents(folder: Path) -> dict[str, str]:
    """Return the checksums of all files of a folder by path. Subfolders are listed, too."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        if path.is_file()
        else "folder"
        for path in folder.rglob("*")
    }


def remove(path: Path) -> None:
    """Remove a run folder or a file.

    Args:
        path: Path of the folder or file; nothing happens if it does not exist.
    """
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def started(folder: Path, arguments: list[str]) -> subprocess.Popen[str]:
    """Start a command in a folder, with one thread.

    Args:
        folder: Folder that the command works in.
        arguments: Words of the command after `nbam`.
    """
    return subprocess.Popen(
        [sys.executable, "-m", "nbam_pyro.cli", *arguments],
        cwd=folder,
        env={**os.environ, "TMPDIR": str(folder / "tmp"), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


@final
@dataclass(frozen=True, kw_only=True)
class Kills(Benchmark):
    """Test exit codes, files and results of commands that are killed at random moments."""

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
            results = {name: finished(folder, name) for name in _COMMANDS}
            for number in range(self.kills):
                name = list(_COMMANDS)[number % 3]
                sent = _SIGNALS[number // 3 % 3]
                whole, seconds = results[name]
                after = rng.uniform(0, 1.05 * seconds)
                settings = {"signal": sent.name, "number": number}
                case = Case(data="rows", method=name, seed=self.seed, settings=settings)
                if case not in known:
                    yield _row(case, kill(folder, name, sent, after=after, whole=whole))

    @staticmethod
    def summary(rows: pd.DataFrame) -> str:
        """Return the number of kills with errors."""
        return f"{(rows['mistakes'] > 0).sum()} of {len(rows)} are wrong"


def _row(case: Case, outcome: Outcome) -> Row:
    figures = {"after": outcome.after, "code": outcome.code, "mistakes": len(outcome.wrong)}
    notes = {"wrong": "; ".join(outcome.wrong)}
    return Row(case=case, figures=figures, notes=notes, device=CPU)
