"""Tables that people have filled in or that other tools wrote, as texts."""

from pathlib import Path

import pandas as pd

from nbam_pyro.cli.files.csv_check import checked_header
from nbam_pyro.cli.files.messages import problem, repeated
from nbam_pyro.cli.runs.formulas import unquoted
from nbam_pyro.errors import DataError
from nbam_pyro.exchange.run_rows import as_text

__all__ = ["read_cells", "read_texts"]


def read_cells(path: Path) -> pd.DataFrame:
    """Read all cells of a CSV or Parquet file as texts; missing cells are empty texts.

    The apostrophe that `write_table` puts in front of formulas is removed.

    Args:
        path: File to read.

    Raises:
        DataError: The file cannot be read, or two columns have the same name.
    """
    ending = path.suffix.lower()
    if ending not in (".csv", ".parquet", ".pq"):
        raise problem(f"'{path}' is not a table. Give a file that ends in .csv or .parquet.")
    try:
        table = read_texts(path) if ending == ".csv" else pd.read_parquet(path)
    except DataError:
        raise
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise problem(f"'{path}' cannot be read ({reason}). Check the file.") from error
    return table.map(lambda cell: unquoted(as_text(cell))).astype(object)


def read_texts(path: Path) -> pd.DataFrame:
    """Read all cells of a CSV file as the texts that it has; missing cells are empty texts.

    Args:
        path: CSV file to read.

    Raises:
        DataError: Two columns have the same name.
        OSError: The file cannot be opened.
        ValueError: The file cannot be parsed.
    """
    twice = repeated(checked_header(path))
    if twice:
        raise problem(f"'{path}' has two columns {twice[0]!r}. Rename one of them.")
    return pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
