"""The features of a file: choosing columns, encoding them, and notes on unusual values."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from nbam_pyro.checks.spacing import blocks
from nbam_pyro.checks.wild import WildValues, describe_wild, wild_values
from nbam_pyro.cli.files import ArrayShape, Columns, Encoding, Source, chosen, encoding_of
from nbam_pyro.cli.files.source import Features

__all__ = ["Learned", "learn", "named", "oddities"]


@dataclass(frozen=True)
class Learned:
    """Training features as numbers.

    Attributes:
        encoding: Encoding for new rows.
        x: Encoded training rows, (N, D) or (N, C, H, W).
        notes: Notes on what was changed in the data and on unusual values.
    """

    encoding: Encoding
    x: np.ndarray
    notes: list[str]


def learn(source: Source, *, data: str, drop: Sequence[str], keep: Sequence[str]) -> Learned:
    """Leave out identifiers, learn the encoding of the other columns, and encode the rows.

    Args:
        source: Training data.
        data: Name of the file, for the notes.
        drop: Names of columns to leave out.
        keep: Names of columns to keep although they look like identifiers.

    Raises:
        DataError: The features cannot be used. The message says why.
    """
    choice = chosen(source.x, drop=drop, keep=keep)
    encoding = encoding_of(source, drop=choice.drop)
    encoded = encoding.encode(source.x)
    notes = [*choice.notes, *encoded.notes, *oddities(encoding, source, encoded.x, data=data)]
    return Learned(encoding, encoded.x, notes)


def oddities(encoding: Encoding, source: Source, x: np.ndarray, *, data: str) -> list[str]:
    """Return a note on values far from all others of their column, or an empty list.

    Args:
        encoding: Encoding of the rows.
        source: Rows before their encoding.
        x: Encoded rows.
        data: Name of the file, for the note.
    """
    if isinstance(encoding, Columns):
        wild, names = _wild_cells(encoding, source.x, x)
    elif isinstance(encoding, ArrayShape) and x.ndim == 2:
        wild, names = wild_values(x), [f"X[:, {number}]" for number in range(x.shape[1])]
    else:
        return []
    if not wild:
        return []
    return [
        f"'{data}' has values far from all others of their column: {describe_wild(wild, names)}; "
        "check them, and empty the cells that stand for missing values"
    ]


def named(encoding: Encoding, x: np.ndarray) -> np.ndarray | pd.DataFrame:
    """Add the names of columns to encoded rows of a table, so that errors can name them.

    Args:
        encoding: Encoding of the rows.
        x: Encoded rows. Rows of arrays and images are returned unchanged.
    """
    if isinstance(encoding, Columns):
        return pd.DataFrame(x, columns=encoding.feature_names, copy=False)
    return x


def _wild_cells(
    encoding: Columns, cells: Features, x: np.ndarray
) -> tuple[list[WildValues], list[str]]:
    """Return the wild values of the columns of numbers, some columns at a time, and their names.

    Encoded columns are used where no cell is missing.
    """
    names, places = encoding.number_names, encoding.number_places
    missing = encoding.incomplete(cells)
    found: list[WildValues] = []
    for part in blocks(np.broadcast_to(0.0, (len(x), len(names)))):
        if missing.isdisjoint(names[part]):
            numbers = x[:, places[part]]
        else:
            numbers = encoding.numbers(cells, names[part])
        for one in wild_values(numbers):
            found.append(replace(one, column=one.column + part.start))
    return found, names
