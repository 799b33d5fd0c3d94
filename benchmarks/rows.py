"""The file format of all results.

A file is a Parquet table with one line per metric of a case. Its columns are `benchmark`, `data`,
`method`, one for each setting, `seed`, `metric`, `value` (a number, null where the metric is
undefined), `note` (for metrics that are texts), `device`, `versions` and `command`.
"""

import platform
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from benchmarks.benchmark import Case, Row
from nbam_pyro.errors import DataError

__all__ = ["cases_of", "joined", "long", "read", "wide", "write"]

_BEFORE = ["benchmark", "data", "method"]
_AFTER = ["seed", "metric", "value", "note", "device", "versions", "command"]
_NUMBERS = {"seed": "Int64", "value": "float64"}
_PACKAGES = ["nbam-pyro", "torch", "torchvision", "pyro-ppl", "lightning", "scikit-learn"]


def read(path: Path) -> pd.DataFrame:
    """Read the lines of a file of rows.

    Raises:
        DataError: The file cannot be read, or required columns are missing.
    """
    try:
        frame = pq.read_table(path).to_pandas()
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{path} cannot be read as a file of rows: {error}") from error
    missing = [name for name in [*_BEFORE, *_AFTER] if name not in frame]
    if missing:
        raise DataError(f"{path} has no columns {', '.join(missing)}. Choose a file of rows.")
    texts = [name for name in [*_BEFORE, *_AFTER] if name not in _NUMBERS]
    return frame.astype({**dict.fromkeys(texts, object), **_NUMBERS})


def write(path: Path, lines: pd.DataFrame) -> None:
    """Write lines to a file. The folder is created, and the file is replaced in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".part")
    table = pa.Table.from_pandas(lines, preserve_index=False)
    pq.write_table(table.replace_schema_metadata(None), draft, compression="zstd")
    draft.replace(path)


def long(benchmark: str, rows: Sequence[Row], *, command: str | None) -> pd.DataFrame:
    """Convert rows to lines, one line per metric.

    Args:
        benchmark: Name of the benchmark.
        rows: Rows that the benchmark yielded.
        command: Command that was run, or None if it is unknown.
    """
    settings = list(dict.fromkeys(name for row in rows for name in row.case.settings))
    lines = [line | {"benchmark": benchmark, "command": command} for line in _lines(rows)]
    frame = pd.DataFrame(lines, columns=[*_BEFORE, *settings, *_AFTER])
    return frame.astype(_NUMBERS)


def _lines(rows: Sequence[Row]) -> Iterator[dict[str, object]]:
    for row in rows:
        case = {"data": row.case.data, "method": row.case.method, "seed": row.case.seed}
        head = dict(row.case.settings) | case | _machine(row.device, tuple(row.packages.items()))
        for metric, value in row.figures.items():
            yield head | {"metric": metric, "value": value, "note": None}
        for metric, text in row.notes.items():
            yield head | {"metric": metric, "value": None, "note": text}


@cache
def _machine(device: torch.device | None, packages: tuple[tuple[str, str], ...]) -> dict[str, str]:
    if device.type == "cuda" if device else torch.cuda.is_available():
        name = torch.cuda.get_device_name(device)
    else:
        name = f"CPU, {torch.get_num_threads()} threads, {platform.machine()}"
    versions = {one: version(one) for one in _PACKAGES} | {"python": platform.python_version()}
    text = ", ".join(f"{one} {number}" for one, number in (versions | dict(packages)).items())
    return {"device": name, "versions": text}


def joined(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """Join the lines of two runs. Cases of the later run replace equal cases of the earlier one."""
    replaced = cases_of(after)
    kept = before[[case not in replaced for case in _case_of_lines(before)]]
    parts = [part for part in (kept, after) if len(part)]
    settings = list(dict.fromkeys([*_settings(before), *_settings(after)]))
    return pd.concat(parts or [after], ignore_index=True)[[*_BEFORE, *settings, *_AFTER]]


def cases_of(lines: pd.DataFrame) -> set[Case]:
    """Return all cases that occur in the lines."""
    return set(_case_of_lines(lines))


def _case_of_lines(lines: pd.DataFrame) -> list[Case]:
    settings = _settings(lines)
    columns = [lines[name] for name in ["data", "method", "seed", *settings]]
    return [
        Case(
            data=data,
            method=method,
            seed=None if pd.isna(seed) else int(seed),
            settings={
                name: None if pd.isna(value) else value
                for name, value in zip(settings, values, strict=True)
            },
        )
        for data, method, seed, *values in zip(*columns, strict=True)
    ]


def _settings(lines: pd.DataFrame) -> list[str]:
    return [str(name) for name in lines if name not in [*_BEFORE, *_AFTER]]


def wide(lines: pd.DataFrame) -> pd.DataFrame:
    """Convert lines to one row per case, with a column for each setting and each metric.

    Args:
        lines: Lines of one benchmark, as `read` returns them.
    """
    head = ["data", "method", *_settings(lines), "seed"]
    number = lines.groupby(head, dropna=False, sort=False).ngroup()
    first = ~number.duplicated()
    cases = lines.loc[first, [*head, "device"]].set_index(number[first])
    metrics = list(dict.fromkeys(lines["metric"]))
    texts = set(lines.loc[lines["note"].notna(), "metric"])
    values = lines.assign(case=number).pivot(index="case", columns="metric", values="value")
    notes = lines.assign(case=number).pivot(index="case", columns="metric", values="note")
    columns = {name: (notes if name in texts else values)[name] for name in metrics}
    return cases.assign(**columns).reset_index(drop=True)
