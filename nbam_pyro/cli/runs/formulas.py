"""Texts that a spreadsheet would run as a formula: marked in CSV files, and read back unmarked."""

import re
from typing import TypeGuard

__all__ = ["NUMBER", "is_text", "quoted", "unquoted"]

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
"""A number in decimal notation."""

# A spreadsheet runs a text with such a beginning as a formula, unless an apostrophe precedes it.
_RUN = re.compile(r"'*[=+\-@\t\r]")


def is_text(cell: object) -> TypeGuard[str]:
    """Return whether a cell is a text.

    Args:
        cell: Cell of a table.
    """
    return isinstance(cell, str)


def quoted(cell: object) -> object:
    """Return a cell with an apostrophe in front if a spreadsheet would run it as a formula.

    Args:
        cell: Cell of a table, a text or anything else.

    Example:
        >>> quoted("=A1"), quoted("-1"), quoted(3)
        ("'=A1", '-1', 3)
    """
    if is_text(cell) and _RUN.match(cell) and not NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell


def unquoted(cell: object) -> object:
    """Return a cell without the apostrophe that `quoted` puts in front of a formula.

    Args:
        cell: Cell of a table, a text or anything else.

    Example:
        >>> unquoted("'=A1"), unquoted("'twas"), unquoted(3)
        ('=A1', "'twas", 3)
    """
    if is_text(cell) and cell.startswith("'") and _RUN.match(cell):
        return cell[1:]
    return cell
