"""Check for mistakes in CSV files that pandas repairs silently or reports unclearly."""

import csv
from pathlib import Path

from nbam_pyro.cli.files.messages import counted, problem

__all__ = ["checked_header"]


def checked_header(path: Path) -> list[str]:
    """Check every line of a CSV file and return the column names in its first line.

    pandas fills short rows with missing cells, takes the first column of long rows for an index and
    renames repeated columns. Therefore the lines are checked before pandas reads them.

    Args:
        path: Path of the CSV file.

    Raises:
        DataError: The file is not UTF-8 text, its lines have different numbers of cells, or it has
            no header or no rows.
    """
    _refuse_binary(path)
    try:
        return _regular_header(path)
    except UnicodeDecodeError as error:
        raise problem(f"'{path}' is not UTF-8 text. Save it as UTF-8.") from error
    except csv.Error as error:
        raise problem(f"'{path}' is not a regular CSV file: {error}. Check its quotes.") from error


def _regular_header(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        filled = (row for row in reader if not _is_blank(row))
        header = next(filled, None)
        if header is None:
            raise problem(f"'{path}' is empty. Write the data into it again.")
        no_rows = True
        for row in filled:
            no_rows = False
            if len(row) != len(header):
                raise problem(
                    f"'{path}' is ragged: line {reader.line_num} has {counted(len(row), 'cell')} "
                    f"and the header has {len(header)}. Correct that line, or put cells that "
                    "contain a comma in double quotes."
                )
    if no_rows:
        raise problem(f"'{path}' has a header but no rows. Add the data.")
    return header


def _is_blank(row: list[str]) -> bool:
    # Lines that pandas skips: empty ones, and white space without quotes.
    return not row or (len(row) == 1 and row[0] != "" and not row[0].strip(" \t"))


def _refuse_binary(path: Path) -> None:
    with path.open("rb") as file:
        if file.read(2) in (b"\xff\xfe", b"\xfe\xff"):
            raise problem(f"'{path}' is UTF-16 text, not UTF-8. Save it as UTF-8.")
        while block := file.read(1 << 20):
            if b"\0" in block:
                raise problem(
                    f"'{path}' is a binary file, not a CSV file. Check the file extension."
                )
