"""The most suspicious rows of a run as lines of text, read without pandas.

`nbam show` prints them. It would otherwise spend most of its time on the import of pandas.
"""

import csv
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from nbam_pyro.cli.runs.formulas import NUMBER, unquoted
from nbam_pyro.cli.runs.schema import FLAG_NUMBERS, damaged_flags
from nbam_pyro.cli.runs.scored import VISIBLE
from nbam_pyro.cli.runs.words import NONE_SUSPICIOUS, probability
from nbam_pyro.errors import FolderError

__all__ = ["suspicious_lines"]

_SHOWN = 20
_WHOLE = re.compile(r"-?\d+")
_PROBABILITIES = ("responsibility", "suggested_probability")


def suspicious_lines(path: Path, *, labels: bool) -> list[str]:
    """List the 20 most suspicious rows of a run that are not verified, or say that there are none.

    Args:
        path: Path of flags.csv, which has the most suspicious rows first.
        labels: Whether targets are labels. Labels are shown as they are, even if they look like
            numbers.

    Raises:
        FolderError: The file is not a table, or has columns of other types than `nbam fit` wrote.
    """
    count, suspicious, shown = 0, False, list[dict[str, str]]()
    names: list[str] = []
    for row in _rows(path):
        names = list(row)
        if row.pop("verified", "") == "True":
            continue
        count += 1
        suspicious = suspicious or float(row.get("responsibility", 1)) >= VISIBLE
        if len(shown) < _SHOWN:
            shown.append(row)
    which = f"of {count} that are not verified" if "verified" in names else f"of {count}"
    if not suspicious:
        return [f"No row is suspicious ({which}): {NONE_SUSPICIOUS}."]
    texts = ["row", "label", "suggested_label"] if labels else ["row"]
    columns = [
        [name, *_cells(name, [row[name] for row in shown], text=name in texts)] for name in shown[0]
    ]
    widths = [max(map(len, column)) for column in columns]
    lines = (
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        for line in zip(*columns, strict=True)
    )
    return [f"The {min(_SHOWN, count)} most suspicious rows ({which}):", *lines]


def _rows(path: Path) -> Iterator[dict[str, str]]:
    """Yield the rows of flags.csv, each after a check of its cells."""
    whole = False
    try:
        with path.open(newline="", encoding="utf-8") as file:
            lines = filter(None, csv.reader(file, strict=True))
            names = next(lines, [])
            numbers = [name for name in FLAG_NUMBERS if name in names]
            for line in lines:
                row = dict(zip(names, line, strict=False))
                if not len(row) == len(names) == len(line) or not _is_whole(row, numbers):
                    raise damaged_flags(path)
                whole = True
                yield row
    except FolderError:
        raise
    except (OSError, ValueError, csv.Error) as error:
        reason = " ".join(str(error).split())[:200]
        raise FolderError(
            f"'{path}' is not a table ({reason}). Restore it or fit again."
        ) from error
    if not whole:
        raise damaged_flags(path)


def _is_whole(row: dict[str, str], numbers: list[str]) -> bool:
    """Return whether a row has its name, at least one number, and no cell of another type."""
    return (
        "row" in row
        and len(numbers) > 0
        and all(_is_number(row[name]) for name in numbers)
        and row.get("verified", "True") in ("True", "False")
    )


def _is_number(cell: str) -> bool:
    return NUMBER.fullmatch(cell) is not None and math.isfinite(float(cell))


def _cells(name: str, cells: Sequence[str], *, text: bool) -> Iterator[str]:
    """Yield the cells of a column as they are shown.

    Numbers have four digits, unless all of them are whole. Ends of lines are shown as escapes.
    """
    if name in _PROBABILITIES:
        yield from (probability(float(cell)) for cell in cells)
    elif (
        not text
        and all(map(_is_number, cells))
        and any("." in cell or "e" in cell for cell in cells)
    ):
        yield from (f"{float(cell):.4g}" for cell in cells)
    else:
        for cell in cells:
            yield str(unquoted(cell)).replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
