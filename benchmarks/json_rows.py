"""Rows of a benchmark as JSON, for programs that do not read Parquet."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.rows import wide

__all__ = ["records", "write_json"]


def records(lines: pd.DataFrame) -> list[dict[str, Any]]:
    """Return one flat dictionary per case: data, method, settings, seed, metrics and notes by name.

    Values that are missing or not finite are None.

    Args:
        lines: Lines of one benchmark, as `rows.read` and `rows.long` return them.
    """
    if lines.empty:
        return []
    text = wide(lines).to_json(orient="records", double_precision=15)
    found: list[dict[str, Any]] = json.loads(text)
    return found


def write_json(path: Path, lines: pd.DataFrame) -> None:
    """Write a list of flat JSON objects. The folder is created; the file is replaced in one step.

    Args:
        path: File to write.
        lines: Lines of one benchmark, as `rows.read` and `rows.long` return them.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".part")
    draft.write_text(json.dumps(records(lines), indent=1) + "\n", encoding="utf-8")
    draft.replace(path)
