"""The encoding that fits a source, learned from it or read from JSON."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import pandas as pd

from nbam_pyro.files.arrays import ArrayShape
from nbam_pyro.files.columns import Columns
from nbam_pyro.files.images import ImageShape
from nbam_pyro.files.messages import problem
from nbam_pyro.files.saved import saved
from nbam_pyro.files.source import Source

__all__ = ["Encoding", "encoding_from_json", "encoding_of"]

Encoding: TypeAlias = Columns | ArrayShape | ImageShape
"""Each has `of`, `encode`, `to_json` and `from_json`; `encode` refuses data of another kind."""


def encoding_of(source: Source, *, drop: Sequence[str] = ()) -> Encoding:
    """Learn from a training source how to encode it and later ones.

    Args:
        source: The training data, as `read` returned them.
        drop: Names of columns of a table that are no features.

    Raises:
        DataError: The features cannot be encoded; the message says why.

    Example:
        >>> source = Source(x=np.zeros((2, 3)), y=np.arange(2), rows=np.arange(2))
        >>> encoding_of(source)
        ArrayShape(shape=(3,))
    """
    match source.x:
        case pd.DataFrame():
            return Columns.of(source.x, drop=drop)
        case np.ndarray():
            return ArrayShape.of(source.x)
        case list():
            return ImageShape.of(source.x)


def encoding_from_json(data: object) -> Encoding:
    """The encoding whose `to_json` gave this.

    Args:
        data: An object of JSON with its "kind".

    Raises:
        DataError: The kind is unknown, or a key is missing or has another type.

    Example:
        >>> encoding_from_json({"kind": "array", "shape": [3]})
        ArrayShape(shape=(3,))
    """
    match saved(data, "kind", str):
        case "table":
            return Columns.from_json(data)
        case "array":
            return ArrayShape.from_json(data)
        case "images":
            return ImageShape.from_json(data)
        case kind:
            raise problem(
                f"The saved encoding is of kind {kind!r}, which is not known; fit again with this "
                "version."
            )
