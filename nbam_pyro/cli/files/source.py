"""What is read from a file, and what an encoding makes of it."""

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
"""A table, an array whose first axis is the rows, or paths of images."""


@dataclass(frozen=True)
class Source:
    """Rows as they were found, before any encoding.

    Attributes:
        x: features: a table, an array (N, ...), or paths of images.
        y: labels as they are in the file, (N,): numbers keep their type, texts are an array of
            objects; a missing label is NaN or None.
        rows: what the rows are called, (N,): 0 to N - 1 for tables and arrays, the path inside
            the folder for images.
        beside: columns or arrays by name that are neither features nor labels, as y is.
        notes: what reading has left out that the owner of the data should know, one sentence each.
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
        x: one row per row of the source: (N, D) float64, or (N, C, H, W) float32.
        notes: what was done to the data that their owner should know, one sentence each.
    """

    x: np.ndarray
    notes: list[str] = field(default_factory=list)


def wrong_kind(x: object, *, expected: str) -> DataError:
    """The error for features of another kind than an encoding was learned from."""
    match x:
        case pd.DataFrame():
            found = "a table"
        case np.ndarray():
            found = "an array"
        case list():
            found = "images"
        case _:
            found = type(x).__name__
    return problem(f"The data are {found}, but training used {expected}; give data of that kind.")
