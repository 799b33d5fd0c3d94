"""Saved runs with something changed in them, and right checksums: are they refused in one line?

    python -m benchmarks.mutated_runs [CASES] [SEED]

A run of labels, one of measurements and one of a detector are saved. In copies of each, one value
of one file is replaced, or a file is damaged otherwise. Then `nbam score` and `nbam show` must end
with 0 or 2 and no traceback. The table has, by kind of run: cases, how many of them were refused
and scored, tracebacks, seconds of the slowest, and memory above that of the imports, all in one
process.
"""

import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import numpy as np
import pandas as pd
from typer.testing import CliRunner

from benchmarks.run_changes import Case, damage, replacements
from nbam_pyro.cli import app

KINDS = ("labels", "measurements", "detector")
_LIMIT = 10.0


@dataclass(frozen=True)
class Outcome:
    """What became of a case.

    Attributes:
        case: Name of the case.
        ended: "scored", "refused", "traceback" or "too slow".
        seconds: How long it took.
        said: The last line, or the error.
    """

    case: str
    ended: str
    seconds: float
    said: str


def main(cases: int = 2000, seed: int = 0) -> None:
    """Change runs of every kind and print the table.

    Args:
        cases: How many changes of each kind of run.
        seed: Seed of which.
    """
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent)
        print("| run | cases | refused | scored | tracebacks | slowest, s | memory, MB |")
        print("|---|---|---|---|---|---|---|")
        for kind in KINDS:
            prepare(folder, kind)
            before = _memory()
            outcomes = list(outcomes_of(folder, kind, cases, seed=seed))
            ended = Counter(one.ended for one in outcomes)
            bad = [one for one in outcomes if one.ended not in ("scored", "refused")]
            slowest = max(outcomes, key=lambda one: one.seconds)
            print(
                f"| {kind} | {len(outcomes)} | {ended['refused']} | {ended['scored']} | {len(bad)} "
                f"| {slowest.seconds:.1f} | {_memory() - before:.0f} |",
                flush=True,
            )
            for one in bad[:20]:
                print(f"  {one.case}: {one.ended}: {one.said}", flush=True)


def prepare(folder: Path, kind: str) -> None:
    """Save a run of a kind, and rows for it to score.

    Args:
        folder: Where they are written, as KIND and KIND.csv.
        kind: One of `KINDS`.
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
    """Change copies of a run and try to use them.

    Args:
        folder: Folder that `prepare` has filled.
        kind: Kind of the run.
        count: How many cases; damage that is no replaced value comes first.
        seed: Seed of which values are replaced.
        only_replaced: Whether to leave out all other damage.
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


def _tried(case: Case, run: Path, data: Path) -> Outcome:
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
    """The most memory that the process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
