"""Opening an image file and converting it to grey or RGB pixels."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nbam_pyro.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["is_grey", "opened", "pixels", "plain"]


@contextmanager
def opened(path: Path, content: bytes | None = None) -> "Iterator[Image]":
    """Open an image file; its pixels are only read when they are needed.

    Args:
        path: Path of the image.
        content: Bytes of the file, if they have already been read.

    Raises:
        DataError: The file cannot be read as an image, when it is opened or within the block.
    """
    import PIL.Image

    try:
        with PIL.Image.open(path if content is None else io.BytesIO(content)) as image:
            yield image
    except Exception as error:  # Pillow's formats fail in many ways: OSError, SyntaxError, ...
        raise DataError(
            f"The image '{path}' cannot be read: {str(error) or type(error).__name__}. Replace it "
            "or leave it out."
        ) from error


def is_grey(image: "Image") -> bool:
    """Return True if an image is grey.

    Args:
        image: Opened image.
    """
    return image.mode in ("1", "L", "LA", "F") or image.mode.startswith("I")


def plain(image: "Image", *, channels: int) -> "Image":
    """Return an image in 8 bits per channel.

    Args:
        image: Opened image.
        channels: 1 for grey, 3 for RGB.

    Raises:
        ValueError: The pixels are floats, for which the range of values is unknown.
    """
    return _eight_bits(image).convert("L" if channels == 1 else "RGB")


def pixels(image: "Image", *, height: int, width: int, channels: int) -> np.ndarray:
    """Scale an image and return its pixels, (C, H, W) float32 in [0, 1].

    Args:
        image: Opened image.
        height: Height to scale to, in pixels.
        width: Width to scale to, in pixels.
        channels: 1 for grey, 3 for RGB.

    Raises:
        ValueError: The pixels are floats, for which the range of values is unknown.
    """
    from PIL.Image import Resampling

    scaled = plain(image, channels=channels)
    if scaled.size != (width, height):
        scaled = scaled.resize((width, height), Resampling.BILINEAR)
    values = np.asarray(scaled, dtype=np.float32) / 255
    return values.reshape(height, width, channels).transpose(2, 0, 1)


def _eight_bits(image: "Image") -> "Image":
    import PIL.Image

    if image.mode == "F":
        raise ValueError("its pixels are floats of unknown range, not 8-bit integers")
    if image.mode.startswith("I"):
        # Pillow would clip 16-bit greys at 255 instead of scaling them.
        greys = np.clip(np.asarray(image).astype(np.float64) / 257, 0, 255)
        return PIL.Image.fromarray(greys.round().astype(np.uint8))
    if "transparency" in image.info:
        # Pillow warns about a palette with transparency unless it is first converted to RGBA.
        return image.convert("RGBA")
    return image
