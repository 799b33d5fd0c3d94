"""Reading what a run found: its summary and its flags, without its model."""

from pathlib import Path
from typing import Any

import pandas as pd

from nbam_pyro.cli.runs.schema import FLAG_NUMBERS, damaged_flags, read_summary
from nbam_pyro.cli.runs.tables import read_table

__all__ = ["read_report"]


def read_report(folder: Path) -> tuple[dict[str, Any], pd.DataFrame]:
    """Read the summary and the flags of a run.

    Args:
        folder: Run folder that a command wrote.

    Returns:
        The content of summary.json, and the table in flags.csv.

    Raises:
        FolderError: The folder is not a run folder, or one of its files is missing or was changed.
    """
    summary = read_summary(folder)
    texts = ["label", "suggested_label"] if summary.get("task") == "classification" else []
    table = read_table(folder / "flags.csv", texts=texts)  # 001 and 01 are two labels
    verified = "verified" not in table or table["verified"].dtype == bool
    numbers = [pd.api.types.is_numeric_dtype(table[name]) for name in FLAG_NUMBERS if name in table]
    if "row" not in table or not verified or not numbers or not all(numbers):
        raise damaged_flags(folder / "flags.csv")
    return summary, table
