"""The file of rows: one flat object per measurement, added to as they are made."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import environment, write_json
from nbam_pyro.errors import DataError

Row = Mapping[str, Any]


class RowFile:
    """A JSON array of flat objects, at most one of each key.

    Args:
        path: of the file; it is made by the first row.
        key: names of what a row is the figures of.
    """

    def __init__(self, path: Path, key: Sequence[str]) -> None:
        self.path = path
        self.key = key

    def read(self) -> list[Row]:
        """The rows, none where there is no file.

        Raises:
            DataError: the file holds something else.
        """
        if not self.path.exists():
            return []
        try:
            rows = json.loads(self.path.read_text())
            for row in rows:
                self.of(row)
        except (ValueError, TypeError, KeyError, OSError) as error:
            raise DataError(
                f"{self.path} holds no rows of this benchmark; name another file."
            ) from error
        return rows

    def add(self, row: Row) -> None:
        """Write a row beside the others, in the place of one with the same key."""
        others = [other for other in self.read() if self.of(other) != self.of(row)]
        write_json(self.path, sorted([*others, row], key=self.of))

    def of(self, row: Row) -> tuple[Any, ...]:
        """The key of a row."""
        return tuple(row[name] for name in self.key)


def machine(
    device: torch.device | None, further: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Device and versions, as text, so that rows are flat.

    Args:
        device: that was used; None for a GPU where there is one.
        further: versions of other packages that were.
    """
    found = environment(device)
    versions = {**found["versions"], **(further or {})}
    text = ", ".join(f"{name} {number}" for name, number in versions.items())
    return {"device": found["device"], "versions": text}
