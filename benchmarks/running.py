"""Run a benchmark and save its rows."""

import inspect
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from benchmarks.benchmark import Benchmark, Row, name_of
from benchmarks.json_rows import write_json
from benchmarks.options import Again, Json, Out
from benchmarks.rows import cases_of, joined, long, read, wide, write
from nbam_pyro.errors import DataError

__all__ = ["command_of", "run"]

# Shortest time between two writes of the file, in seconds. It is always written at the end.
_PAUSE = 10.0


def run(
    benchmark: Benchmark, *, out: Path | None = None, json: Path | None = None, again: bool = False
) -> None:
    """Measure the cases that a file does not contain, print them and add them to the file.

    Args:
        benchmark: Benchmark with its options.
        out: File of rows to create or extend. If it is None, rows are only printed.
        json: JSON file to write, one flat object per case, with the cases that `out` contains. If
            it is None, no JSON is written.
        again: Whether to measure cases again that the file contains.

    Raises:
        DataError: The file contains rows of another benchmark, or data are missing.
    """
    name, command = name_of(type(benchmark)), f"python -m benchmarks {shlex.join(sys.argv[1:])}"
    before = read(out) if out is not None and out.exists() else long(name, [], command=None)
    others = sorted(set(before["benchmark"]) - {name})
    if others:
        raise DataError(f"{out} contains rows of {', '.join(others)}. Choose another file.")
    known = set() if again else cases_of(before)
    rows: list[Row] = []
    written = time.monotonic()

    def keep() -> None:
        lines = joined(before, long(name, rows, command=command))
        if out is not None and rows:
            write(out, lines)
        if json is not None:
            write_json(json, lines)

    try:
        for row in benchmark.measure(known):
            typer.echo(str(row))
            rows.append(row)
            if time.monotonic() - written > _PAUSE:
                keep()
                written = time.monotonic()
    finally:
        keep()
    lines = joined(before, long(name, rows, command=command))
    typer.echo(benchmark.summary(wide(lines)))


def command_of(benchmark: type[Benchmark]) -> Callable[..., None]:
    """Return the command of a benchmark. Its fields and the shared options are its options."""

    def command(out: Path | None, json: Path | None, again: bool, **options: Any) -> None:
        run(benchmark(**options), out=out, json=json, again=again)

    keyword = inspect.Parameter.KEYWORD_ONLY
    shared = [
        inspect.Parameter("out", keyword, default=None, annotation=Out),
        inspect.Parameter("json", keyword, default=None, annotation=Json),
        inspect.Parameter("again", keyword, default=False, annotation=Again),
    ]
    own = inspect.signature(benchmark).parameters.values()
    command.__signature__ = inspect.Signature([*own, *shared])  # type: ignore[attr-defined]
    command.__doc__ = benchmark.__doc__
    return command
