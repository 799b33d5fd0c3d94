"""The file of rows: one flat object per case, method and seed, added to as they are measured."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.common import write_json
from nbam_pyro.errors import DataError

Row = Mapping[str, Any]
KEY = ("dataset", "kind", "rate_per_class", "train_size", "epochs", "method", "seed")


def key(row: Row) -> tuple[Any, ...]:
    """What a row is the figures of."""
    return tuple(row[name] for name in KEY)


def read_rows(path: Path) -> list[Row]:
    """The rows of a file, none where there is no file.

    Raises:
        DataError: the file holds something else.
    """
    if not path.exists():
        return []
    try:
        rows = json.loads(path.read_text())
        for row in rows:
            key(row)
    except (ValueError, TypeError, KeyError, OSError) as error:
        raise DataError(f"{path} holds no rows of this benchmark; name another file.") from error
    return rows


def add_row(path: Path, row: Row) -> None:
    """Write a row beside those that the file has, in the place of one with the same key."""
    write_json(path, sorted([*without(read_rows(path), row), row], key=key))


def without(rows: Iterable[Row], row: Row) -> list[Row]:
    """Rows of other keys."""
    return [other for other in rows if key(other) != key(row)]
