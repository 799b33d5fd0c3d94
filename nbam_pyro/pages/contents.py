"""The contents of rows: cells of a table, or images."""

import base64
import io
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nbam_pyro.checks.containers import unwrapped
from nbam_pyro.data.images import is_grey, opened, plain
from nbam_pyro.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Contents", "Thumbnails", "contents_of"]

# Largest side of a thumbnail, and the side up to which it is stored without loss, in pixels.
_SIDE, _EXACT = 96, 32
_TAKES = (
    "a table (N, D), an array of images (N, H, W) or (N, C, H, W) with one or three channels C, or "
    "a list of N paths of image files"
)


@dataclass(frozen=True, eq=False)
class Thumbnails:
    """Small pictures of images.

    Attributes:
        images: Paths of N image files, or pixels, (N, H, W) or (N, C, H, W).
    """

    images: Sequence[Path] | np.ndarray

    def __call__(self, row: int) -> str:
        """Return a picture as the address of an `img` element, which contains the picture itself.

        Args:
            row: Position of the image, from 0 to N - 1.

        Raises:
            DataError: A file cannot be read as an image.
        """
        image = self.images[row]
        if isinstance(image, Path):
            with opened(image) as picture:
                return _address(plain(picture, channels=1 if is_grey(picture) else 3))
        return _address(_drawn(image))


@dataclass(frozen=True, kw_only=True, eq=False)
class Contents:
    """Contents of N rows. One of the first two attributes is None.

    Attributes:
        table: Cells, (N, D).
        thumbnails: Pictures.
        beside: Names of columns that are no features. They are listed, but not in the map.
    """

    table: pd.DataFrame | None = None
    thumbnails: Thumbnails | None = None
    beside: Collection[str] = ()


def contents_of(rows: Any, count: int) -> Contents:
    """Return the contents of rows.

    Args:
        rows: A table (N, D), images (N, H, W) or (N, C, H, W), or N paths of image files.
        count: Number of rows N.

    Raises:
        DataError: The object is something else, or has another number of rows.
    """
    paths = isinstance(rows, list | tuple) and all(isinstance(one, str | Path) for one in rows)
    plain_rows = [Path(one) for one in rows] if paths else unwrapped(rows)
    if not hasattr(plain_rows, "__len__"):
        raise DataError(f"rows are a {type(rows).__name__}. Give {_TAKES}.")
    if len(plain_rows) != count:
        raise DataError(
            f"rows have {len(plain_rows)} rows, but the report is about {count}. They must agree."
        )
    if isinstance(plain_rows, pd.DataFrame):
        return Contents(table=plain_rows.reset_index(drop=True))
    if paths:
        return Contents(thumbnails=Thumbnails(plain_rows))
    array = np.asarray(plain_rows)
    if array.ndim == 2:
        names = [f"column {number}" for number in range(array.shape[1])]
        return Contents(table=pd.DataFrame(array, columns=names))
    if array.ndim == 3 or (array.ndim == 4 and array.shape[1] in (1, 3)):
        return Contents(thumbnails=Thumbnails(array))
    raise DataError(f"rows have shape {array.shape}. Give {_TAKES}.")


def _drawn(pixels: np.ndarray) -> "Image":
    """Return an image of pixels (H, W) or (C, H, W): bytes, or numbers that are stretched."""
    import PIL.Image

    if pixels.ndim == 3:
        pixels = pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)
    if pixels.dtype != np.uint8:
        values = np.nan_to_num(pixels.astype(np.float64))
        low, high = min(values.min(), 0.0), values.max()
        high = 1.0 if low >= 0.0 and high <= 1.0 else high
        pixels = (255 * (values - low) / max(high - low, 1e-12)).round().astype(np.uint8)
    return PIL.Image.fromarray(pixels)


def _address(image: "Image") -> str:
    from PIL.Image import Resampling

    exact = max(image.size) <= _EXACT
    if not exact:
        image.thumbnail((_SIDE, _SIDE), Resampling.LANCZOS)
    file = io.BytesIO()
    if exact:
        image.save(file, "PNG", optimize=True)
    else:
        image.save(file, "JPEG", quality=75)
    kind = "png" if exact else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"
