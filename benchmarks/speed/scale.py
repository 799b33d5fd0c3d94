"""Time and memory of fitting and scoring many rows from Parquet.

The data are simulated labels of ten classes with 32 features, of which a tenth are wrong. Each step
runs in a process of its own, so that its peak memory does not depend on other steps. Memory
includes Python and torch. On a shared machine the seconds of the clock can be far larger than the
CPU seconds.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import typer

from benchmarks.benchmark import CPU, Benchmark, Case, Row

__all__ = ["Scale"]

_CLASSES, _FEATURES, _WRONG = 10, 32, 0.1
# Rows of one group in a Parquet file.
_GROUP = 100_000


class Counts(tuple[int, ...]):
    """Numbers of rows from the command line, where commas separate them."""

    __slots__ = ()

    @staticmethod
    def of(text: "str | Counts") -> "Counts":
        """Split a text at its commas and convert the parts to whole numbers of at least 1."""
        try:
            counts = Counts(map(int, text.split(","))) if isinstance(text, str) else text
        except ValueError as error:
            raise typer.BadParameter(f"{text!r} has a part that is not a whole number") from error
        if min(counts, default=0) < 1:
            raise typer.BadParameter(f"{text!r} has a number below 1")
        return counts


_Rows = typer.Option(parser=Counts.of, metavar="N,...", help="Numbers of rows, with commas.")


@final
@dataclass(frozen=True, kw_only=True)
class Scale(Benchmark):
    """Time and memory of fitting and scoring 10,000 to 10 million rows from Parquet."""

    rows: Annotated[Counts, _Rows] = Counts((10_000, 100_000, 1_000_000))  # noqa: RUF009
    score_rows: Annotated[Counts, _Rows] = Counts((10_000, 100_000, 1_000_000, 10_000_000))  # noqa: RUF009
    epochs: Annotated[int, typer.Option(min=1, help="Epochs of one training run.")] = 2
    threads: Annotated[int, typer.Option(min=1, help="Threads of each process.")] = 1
    folder: Annotated[
        Path | None, typer.Option(help="Folder for data and runs. Default: a temporary folder.")
    ] = None

    def measure(self, known: Collection[Case]) -> Iterator[Row]:
        """Yield one row for each fit, each scored file, and the network alone."""
        with tempfile.TemporaryDirectory() as temporary:
            folder = self.folder or Path(temporary)
            folder.mkdir(parents=True, exist_ok=True)
            for rows in self.rows:
                if self._case("fit", rows) not in known:
                    yield self._measured("fit", rows, folder)
            run = folder / f"run-{min(self.rows)}"
            if not run.exists():
                self._child("fit", folder, rows=min(self.rows))
            for rows in self.score_rows:
                for step in ("score", "score beside the network"):
                    if self._case(step, rows) not in known:
                        yield self._measured(step, rows, folder)

    @staticmethod
    def summary(rows: pd.DataFrame) -> str:
        """Return a table of all figures, and the slopes of log time on log rows."""
        lines = [rows.drop(columns=["data", "seed", "device"]).to_string(index=False)]
        for step, part in rows[rows["method"].isin(["fit", "score"])].groupby("method"):
            if len(part) > 1:
                x = np.log10(part["rows"].astype(float))
                slopes = [
                    f"{np.polyfit(x, np.log10(part[name].astype(float)), 1)[0]:.2f} ({name})"
                    for name in ("seconds", "cpu_seconds")
                ]
                lines.append(f"{step}: slope of log time on log rows {', '.join(slopes)}")
        return "\n".join(lines)

    def _case(self, step: str, rows: int) -> Case:
        epochs = self.epochs if step == "fit" else None
        settings = {"rows": rows, "epochs": epochs, "threads": self.threads}
        return Case(data="simulation", method=step, settings=settings)

    def _measured(self, step: str, rows: int, folder: Path) -> Row:
        figures = self._child(step, folder, rows=rows)
        return Row(case=self._case(step, rows), figures=figures, device=CPU)

    def _child(self, step: str, folder: Path, *, rows: int) -> dict[str, float]:
        """Run a step in a process of its own, and return its figures."""
        data = folder / f"{rows}.parquet"
        if not data.exists():
            write(data, rows)
        run = folder / f"run-{rows if step == 'fit' else min(self.rows)}"
        arguments: dict[str, Any] = {
            "step": step,
            "data": str(data),
            "run": str(run),
            "out": str(folder / "scores.parquet"),
            "epochs": self.epochs,
            "threads": self.threads,
        }
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.speed.scale_step", json.dumps(arguments)],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        return figures


def write(path: Path, rows: int) -> None:
    """Write simulated rows, a group at a time.

    Args:
        path: Parquet file.
        rows: Number of rows.
    """
    means = 0.7 * np.random.default_rng(0).normal(size=(_CLASSES, _FEATURES))
    rng = np.random.default_rng([1, rows])
    draft, writer = path.with_suffix(".part"), None
    for start in range(0, rows, _GROUP):
        count = min(_GROUP, rows - start)
        true = rng.integers(_CLASSES, size=count)
        x = (means[true] + rng.normal(size=(count, _FEATURES))).astype(np.float32)
        wrong = rng.random(count) < _WRONG
        y = np.where(wrong, (true + rng.integers(1, _CLASSES, size=count)) % _CLASSES, true)
        table = pa.table({**{f"x{j}": x[:, j] for j in range(_FEATURES)}, "y": y})
        writer = writer or pq.ParquetWriter(draft, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()
    draft.rename(path)
