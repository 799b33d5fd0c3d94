"""Test whether changed run folders with correct checksums are rejected with a one-line message.

Three runs are saved: one with labels, one with measurements and one of a detector. In copies of
them, one value of one file is replaced, or a file is damaged in another way. Then `nbam show` and
`nbam score` must end with exit code 0 or 2 and without a traceback. All commands run in one
process. The table shows for each kind of run: the numbers of cases, of rejected runs, of scored
runs and of tracebacks; the seconds of the slowest case; and the memory in addition to the imports.
"""

import random
import resource
import shutil
import signal
import tempfile
import time
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Annotated, final

import numpy as np
import pandas as pd
import typer
from typer.testing import CliRunner

from benchmarks.benchmark import CPU, Benchmark, Case, Row
from benchmarks.options import Seed
from benchmarks.robustness.run_changes import Changed, damage, replacements
from nbam_pyro.cli import app

KINDS = ("labels", "measurements", "detector")
_LIMIT = 10.0


@dataclass(frozen=True)
class Outcome:
    """Result of the commands on one changed run.

    Attributes:
        case: Name of the change.
        ended: "scored", "refused" (rejected with a message), "traceback" or "too slow".
        seconds: Seconds that the commands took.
        said: Last line of the output, or the error.
    """

    case: str
    ended: str
    seconds: float
    said: str


def prepare(folder: Path, kind: str) -> None:
    """Save a run of one kind, and a file of rows to score.

    Args:
        folder: Folder for the output. The run is named KIND and the rows KIND.csv.
        kind: Kind of the run, one of `KINDS`.
    """
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(60, 3)), columns=["a", "b", "c"])
    frame["colour"] = rng.choice(["red", "blue"], 60)
    if kind == "labels":
        frame["y"] = np.array(["ant", "bee", "cat"])[np.arange(60) % 3]
    elif kind == "measurements":
        frame["y"] = frame["a"] + 0.1 * rng.normal(size=60)
    frame.to_csv(folder / "train.csv", index=False)
    frame[:4].to_csv(folder / f"{kind}.csv", index=False)
    label = ["fit", "--label", "y"] if "y" in frame else ["detect", "--backbone", "ae"]
    command, *options = label
    out = ["--epochs", "2", "--out", str(folder / kind)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        done = CliRunner().invoke(app, [command, str(folder / "train.csv"), *options, *out])
    if done.exit_code:
        raise RuntimeError(done.output)


def outcomes_of(
    folder: Path, kind: str, count: int, *, seed: int = 0, only_replaced: bool = False
) -> Iterator[Outcome]:
    """Change copies of a run, and use each copy with `nbam show` and `nbam score`.

    Args:
        folder: Folder that `prepare` has filled.
        kind: Kind of the run, one of `KINDS`.
        count: Number of cases. Damaged files come before replaced values.
        seed: Seed that chooses the replaced values.
        only_replaced: Whether to use only replaced values and no damaged files.
    """
    run = folder / kind
    whole = [] if only_replaced else list(damage(run))
    replaced = list(replacements(run))
    more = max(0, min(count - len(whole), len(replaced)))
    for case in whole[:count] + random.Random(seed).sample(replaced, more):
        changed = folder / "changed"
        shutil.rmtree(changed, ignore_errors=True)
        shutil.copytree(run, changed)
        case.change(changed)
        yield _tried(case, changed, folder / f"{kind}.csv")


class _TooSlowError(BaseException):
    pass


def _tried(case: Changed, run: Path, data: Path) -> Outcome:
    out = run.with_name("scored.csv")
    score = ["score", str(run), str(data), "--out", str(out), "--overwrite"]
    commands = [["show", str(run)], score]
    started = time.perf_counter()
    ended, said = "refused", ""
    try:
        with _limited(_LIMIT), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for command in commands:
                done = CliRunner().invoke(app, command)
                said = done.output.strip().split("\n")[-1] if done.output else ""
                if done.exit_code not in (0, 2) or not isinstance(
                    done.exception, SystemExit | None
                ):
                    ended, said = "traceback", f"{command[0]}: {done.exception!r}"[:300]
                    break
                if "\x1b" in done.output or done.stderr.count("\n") > 1:
                    ended, said = "traceback", f"{command[0]} said {done.output!r}"[:300]
                    break
                if done.exit_code == 0 and command[0] == "score":
                    ended = "scored"
    except _TooSlowError:
        ended = "too slow"
    return Outcome(case.name, ended, time.perf_counter() - started, said)


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        raise _TooSlowError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _memory() -> float:
    """Return the peak memory of the process, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@final
@dataclass(frozen=True, kw_only=True)
class MutatedRuns(Benchmark):
    """Test whether changed run folders are rejected with a one-line message."""

    cases: Annotated[int, typer.Option(min=1, help="Number of changed copies of each run.")] = 2000
    seed: Seed = 0

    def measure(self, known: Collection[Case]) -> Iterator[Row]:
        """Yield one row per changed run, and one row with the memory of each kind of run."""
        with tempfile.TemporaryDirectory() as parent:
            folder = Path(parent)
            for kind in KINDS:
                whole = Case(data=kind, method="memory", seed=self.seed)
                if whole in known:
                    continue
                prepare(folder, kind)
                before = _memory()
                for one in outcomes_of(folder, kind, self.cases, seed=self.seed):
                    case = Case(
                        data=kind, method="score", seed=self.seed, settings={"change": one.case}
                    )
                    notes = {"ended": one.ended, "said": one.said}
                    yield Row(case=case, figures={"seconds": one.seconds}, notes=notes, device=CPU)
                yield Row(case=whole, figures={"memory_mb": _memory() - before}, device=CPU)

    @staticmethod
    def summary(rows: pd.DataFrame) -> str:
        """Return a table by kind of run, and a list of the cases that failed."""
        lines = [
            "| run | cases | refused | scored | tracebacks | slowest, s | memory, MB |",
            "|---|---|---|---|---|---|---|",
        ]
        tried = rows[rows["method"] == "score"]
        for kind, part in tried.groupby("data", sort=False):
            ended = part["ended"].value_counts()
            refused, scored = ended.get("refused", 0), ended.get("scored", 0)
            memory = rows.loc[(rows["data"] == kind) & (rows["method"] == "memory"), "memory_mb"]
            lines.append(
                f"| {kind} | {len(part)} | {refused} | {scored} | {len(part) - refused - scored} "
                f"| {part['seconds'].max():.1f} | {memory.max():.0f} |"
            )
        wrong = tried[~tried["ended"].isin(["refused", "scored"])].head(20)
        lines += [f"  {one.change}: {one.ended}: {one.said}" for one in wrong.itertuples()]
        return "\n".join(lines)
