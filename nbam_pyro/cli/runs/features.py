"""The features of a training file: which columns they are, as numbers, and what is odd in them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from nbam_pyro.cli.files import Columns, Encoding, Source, chosen, encoding_of
from nbam_pyro.wild import describe_wild, wild_values

__all__ = ["Learned", "learn", "named", "oddities"]


@dataclass(frozen=True)
class Learned:
    """Training features as numbers.

    Attributes:
        encoding: How later rows are encoded.
        x: The encoded rows, (N, D) or (N, C, H, W).
        notes: What was done to the data and what is odd in them, one sentence each.
    """

    encoding: Encoding
    x: np.ndarray
    notes: list[str]


def learn(source: Source, *, data: str, drop: Sequence[str], keep: Sequence[str]) -> Learned:
    """Leave out identifiers, learn the encoding of the other columns, and encode the rows.

    Args:
        source: The training data.
        data: The name of the file, for the notes.
        drop: Names of columns to leave out.
        keep: Names of columns to keep though they look like identifiers.

    Raises:
        DataError: The features cannot be used; the message says why.
    """
    choice = chosen(source.x, drop=drop, keep=keep)
    encoding = encoding_of(source, drop=choice.drop)
    encoded = encoding.encode(source.x)
    notes = [*choice.notes, *encoded.notes, *oddities(encoding, source, encoded.x, data=data)]
    return Learned(encoding, encoded.x, notes)


def oddities(encoding: Encoding, source: Source, x: np.ndarray, *, data: str) -> list[str]:
    """A sentence on values far from all others, if there are any.

    Args:
        encoding: The encoding of the rows.
        source: The rows as they were read.
        x: The encoded rows.
        data: The name of the file.
    """
    if isinstance(encoding, Columns):
        numbers, names = encoding.numbers(source.x)
    elif x.ndim == 2:
        numbers, names = x, [f"X[:, {number}]" for number in range(x.shape[1])]
    else:
        return []
    wild = wild_values(numbers)
    if not wild:
        return []
    return [
        f"{data} has values far from all others of their column: {describe_wild(wild, names)}; "
        "check them, and leave the cells empty that stand for missing values"
    ]


def named(encoding: Encoding, x: np.ndarray) -> np.ndarray | pd.DataFrame:
    """Encoded rows with the names of their columns, where they have some, so that errors name them.

    Args:
        encoding: The encoding of the rows.
        x: The encoded rows.
    """
    if isinstance(encoding, Columns):
        return pd.DataFrame(x, columns=encoding.feature_names)
    return x
