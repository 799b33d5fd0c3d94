"""Data of a file before their encoding, and features after their encoding."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd

from nbam_pyro.cli.files.messages import problem
from nbam_pyro.cli.files.used_network import UsedNetwork
from nbam_pyro.errors import DataError

__all__ = ["Encoded", "Features", "NetworkFeatures", "Source", "wrong_kind"]


@dataclass(frozen=True)
class NetworkFeatures:
    """Features of images that a frozen network has computed.

    Attributes:
        values: Features, (N, D) float32, or grids of features, (N, h, w, D).
        network: The network, and its preparation of images.
    """

    values: np.ndarray
    network: UsedNetwork


Features: TypeAlias = pd.DataFrame | np.ndarray | list[Path] | NetworkFeatures
"""A table, an array whose first axis is the rows, paths of images, or their features."""


@dataclass(frozen=True)
class Source:
    """Rows of a file before any encoding.

    Attributes:
        x: Features: a table, an array (N, ...), N paths of images, or features of N images.
        y: Labels in the file, (N,). Numbers keep their type, texts are an array of objects, and a
            missing label is NaN or None.
        rows: Names of the rows, (N,): 0 to N - 1 for tables and arrays, paths inside the folder for
            images.
        beside: Columns or arrays that are neither features nor labels: a mapping from names to
            values of the same types as y, (N,).
        notes: Messages for the user about data that were not read.
        sha256: Hash of the file, or of a folder of Parquet files. Their rows have numbers, so
            results belong to these files only. None for images, whose names are the rows.
    """

    x: Features
    y: np.ndarray
    rows: np.ndarray
    beside: Mapping[str, np.ndarray] = field(default_factory=dict)
    notes: Sequence[str] = ()
    sha256: str | None = None

    def without_features(self) -> "Source":
        """Return the same rows without their features, so that these need no memory."""
        return replace(self, x=[])

    def __getitem__(self, rows: slice) -> "Source":
        """Return some rows, without the notes and the hash.

        Args:
            rows: Places of the rows.
        """
        x: Features
        match self.x:
            case pd.DataFrame():
                x = self.x.iloc[rows]
            case NetworkFeatures():
                x = NetworkFeatures(self.x.values[rows], self.x.network)
            case _:
                x = self.x[rows]
        beside = {name: values[rows] for name, values in self.beside.items()}
        return Source(x=x, y=self.y[rows], rows=self.rows[rows], beside=beside)


@dataclass(frozen=True)
class Encoded:
    """Features as numbers.

    Attributes:
        x: Features, (N, D) float64 (float32 from a network), or images, (N, C, H, W) float32.
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
        case NetworkFeatures():
            found = "features of a network (--features)"
        case _:
            found = type(x).__name__
    return problem(f"The data are {found}, but training used {expected}. Give data of that kind.")
