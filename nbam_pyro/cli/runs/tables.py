"""CSV files that a run writes: safe to open in a spreadsheet, and read back as they were."""

import csv
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeGuard

import pandas as pd

from nbam_pyro.errors import FolderError
from nbam_pyro.folders import new_file

__all__ = ["read_table", "write_csv", "write_table"]

# A spreadsheet runs a text that begins so as a formula; an apostrophe in front makes it a text.
_RUN = re.compile(r"'*[=+\-@\t\r]")
# A longer first line has more columns than any table of a run.
_HEADER = 2**14
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV.

    A text that a spreadsheet would run as a formula (it begins with `=`, `+`, `-`, `@`, a tab or a
    carriage return, and is no number) gets an apostrophe in front.

    Args:
        table: Table to write, without its index.
        path: File to write.
    """
    safe = _changed(table, _quoted)
    # A carriage return ends a row, too, where the cell has no quotes around it.
    texts = safe.select_dtypes(exclude=["number", "bool"])
    returns = bool(texts.map(lambda cell: _is_text(cell) and "\r" in cell).any(axis=None))
    safe.to_csv(path, index=False, quoting=csv.QUOTE_NONNUMERIC if returns else csv.QUOTE_MINIMAL)


def read_table(path: Path, *, texts: Sequence[str] = ()) -> pd.DataFrame:
    """A table that `write_table` wrote, without the apostrophes.

    Args:
        path: File to read.
        texts: Columns that hold texts, whatever they look like; names of rows are texts always.

    Raises:
        FolderError: The file is no table.
    """
    with path.open("rb") as file:
        header = file.readline(_HEADER)
    try:
        if not header.endswith(b"\n"):
            raise ValueError("its first line is no header")
        table = pd.read_csv(path, keep_default_na=False, dtype=dict.fromkeys(["row", *texts], str))
    except (OSError, ValueError, OverflowError) as error:
        reason = " ".join(str(error).split())[:200]
        raise FolderError(f"{path} is no table ({reason}). Restore it or fit again.") from error
    return _changed(table, _unquoted)


def write_csv(table: pd.DataFrame, out: Path, *, overwrite: bool) -> None:
    """Write a table as a CSV file, whole or not at all; folders above it are made.

    Args:
        table: Table to write, without its index.
        out: File to write.
        overwrite: Whether a file that exists is replaced.

    Raises:
        FolderError: The file exists and may not be replaced, another process writes it, or the
            file system refuses.
    """
    with new_file(out, overwrite=overwrite) as draft:
        write_table(table, draft)


def _changed(table: pd.DataFrame, change: Callable[[object], object]) -> pd.DataFrame:
    """A table with its texts changed, and the names of its columns."""
    columns = {
        name: column if pd.api.types.is_numeric_dtype(column) else column.map(change)
        for name, column in table.items()
    }
    return pd.DataFrame(columns, index=table.index).rename(columns=change)


def _is_text(cell: object) -> TypeGuard[str]:
    return isinstance(cell, str)


def _quoted(cell: object) -> object:
    if _is_text(cell) and _RUN.match(cell) and not _NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell


def _unquoted(cell: object) -> object:
    if _is_text(cell) and cell.startswith("'") and _RUN.match(cell):
        return cell[1:]
    return cell
