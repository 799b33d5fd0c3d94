"""The encoding of features, chosen by the kind of data."""

from collections.abc import Sequence
from typing import Annotated, TypeAlias

import numpy as np
import pandas as pd
from pydantic import Discriminator

from nbam_pyro.cli.files.arrays import ArrayShape
from nbam_pyro.cli.files.columns import Columns
from nbam_pyro.cli.files.frozen import FrozenEncoding
from nbam_pyro.cli.files.images import ImageShape
from nbam_pyro.cli.files.source import NetworkFeatures, Source

__all__ = ["Encoding", "encoding_of"]

Encoding: TypeAlias = Annotated[
    Columns | ArrayShape | ImageShape | FrozenEncoding, Discriminator("kind")
]
"""Encodings are dataclasses with the methods `of` and `encode`; their fields are saved as JSON."""


def encoding_of(source: Source, *, drop: Sequence[str] = ()) -> Encoding:
    """Learn an encoding from training data, for these and for new rows.

    Args:
        source: Training data, as `read` returns them.
        drop: Names of columns of a table to leave out.

    Raises:
        DataError: The features cannot be encoded. The message says why.

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
        case NetworkFeatures():
            return FrozenEncoding(source.x.network, source.x.values.shape[1])
