"""Data of a file before their encoding, and features after their encoding."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd

from nbam_pyro.cli.files.messages import problem
from nbam_pyro.errors import DataError

__all__ = ["Encoded", "Features", "Source", "wrong_kind"]

Features: TypeAlias = pd.DataFrame | np.ndarray | list[Path]
"""A table, an array whose first axis is the rows, or a list of paths of images."""


@dataclass(frozen=True)
class Source:
    """Rows of a file before any encoding.

    Attributes:
        x: Features: a table, an array (N, ...), or N paths of images.
        y: Labels in the file, (N,). Numbers keep their type, texts are an array of objects, and a
            missing label is NaN or None.
        rows: Names of the rows, (N,): 0 to N - 1 for tables and arrays, paths inside the folder for
            images.
        beside: Columns or arrays that are neither features nor labels: a mapping from names to
            values of the same types as y, (N,).
        notes: Messages for the user about data that were not read.
    """

    x: Features
    y: np.ndarray
    rows: np.ndarray
    beside: Mapping[str, np.ndarray] = field(default_factory=dict)
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Encoded:
    """Features as numbers.

    Attributes:
        x: Features, (N, D) float64, or images, (N, C, H, W) float32.
        notes: Messages for the user about changes, such as missing cells that were filled.
    """

    x: np.ndarray
    notes: list[str] = field(default_factory=list)


def wrong_kind(x: object, *, expected: str) -> DataError:
    """Return an error for features of another kind than the training data.

    Args:
        x: Features that were given.
        expected: Kind of the training data, for instance "a table".
    """
    match x:
        case pd.DataFrame():
            found = "a table"
        case np.ndarray():
            found = "an array"
        case list():
            found = "images"
        case _:
            found = type(x).__name__
    return problem(f"The data are {found}, but training used {expected}. Give data of that kind.")
