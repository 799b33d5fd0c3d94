"""CSV files of a run: safe to open in a spreadsheet, and read back unchanged."""

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from nbam_pyro.cli.runs.formulas import is_text, quoted, unquoted
from nbam_pyro.errors import FolderError
from nbam_pyro.storage import new_file

__all__ = ["formulas", "read_table", "write_csv", "write_table"]

# Largest number of bytes in a header.
_HEADER = 2**14


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV.

    A text that a spreadsheet would run as a formula (it begins with `=`, `+`, `-`, `@`, a tab or a
    carriage return, and is not a number) gets an apostrophe in front.

    Args:
        table: Table to write, without its index.
        path: File to write.
    """
    safe = _changed(table, quoted)
    # A carriage return also ends a row, unless its cell has quotes around it.
    texts = safe.select_dtypes(exclude=["number", "bool"])
    returns = bool(texts.map(lambda cell: is_text(cell) and "\r" in cell).any(axis=None))
    safe.to_csv(path, index=False, quoting=csv.QUOTE_NONNUMERIC if returns else csv.QUOTE_MINIMAL)


def read_table(path: Path, *, texts: Sequence[str] = ()) -> pd.DataFrame:
    """Read a table that `write_table` wrote, without the added apostrophes.

    Args:
        path: File to read.
        texts: Names of columns to read as texts, even if they look like numbers. The column "row"
            is always read as texts.

    Raises:
        FolderError: The file is not a table.
    """
    with path.open("rb") as file:
        header = file.readline(_HEADER)
    try:
        if not header.endswith(b"\n"):
            raise ValueError("it has no header")
        table = pd.read_csv(path, keep_default_na=False, dtype=dict.fromkeys(["row", *texts], str))
    except (OSError, ValueError, OverflowError) as error:
        reason = " ".join(str(error).split())[:200]
        raise FolderError(
            f"'{path}' is not a table ({reason}). Restore it or fit again."
        ) from error
    return _changed(table, unquoted)


def write_csv(table: pd.DataFrame, out: Path, *, overwrite: bool) -> None:
    """Write a table as a CSV file, completely or not at all. Missing folders above it are created.

    Args:
        table: Table to write, without its index.
        out: File to write.
        overwrite: True to replace an existing file.

    Raises:
        FolderError: The file exists and `overwrite` is False, another process is writing it, or
            the file system refuses to write.
    """
    with new_file(out, overwrite=overwrite) as draft:
        write_table(table, draft)


def formulas(table: pd.DataFrame) -> int:
    """Return the number of cells in front of which `write_table` puts an apostrophe.

    Args:
        table: Table to write.

    Example:
        >>> formulas(pd.DataFrame({"label": ["=A1", "cat"], "number": [-1, 2]}))
        1
    """
    texts = table.select_dtypes(exclude=["number", "bool"])
    return int(texts.map(lambda cell: quoted(cell) != cell).to_numpy().sum())


def _changed(table: pd.DataFrame, change: Callable[[object], object]) -> pd.DataFrame:
    """Change the texts in the cells and in the column names of a table."""
    columns = {name: _mapped(column, change) for name, column in table.items()}
    return pd.DataFrame(columns, index=table.index).rename(columns=change)


def _mapped(column: pd.Series, change: Callable[[object], object]) -> pd.Series:
    if pd.api.types.is_numeric_dtype(column):
        return column
    changed = column.map(change)
    # Without a text, pandas has turned whole numbers beside missing cells into floats.
    return column if pd.api.types.is_numeric_dtype(changed) else changed
