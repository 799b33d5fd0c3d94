"""Images one by one, from files, arrays and data sets, with a hash of their content."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from nbam_pyro.data.images import image_files, opened, plain
from nbam_pyro.errors import DataError

__all__ = ["ImageRows", "Images", "image_rows"]

Images: TypeAlias = str | Path | Sequence[Path] | np.ndarray | Tensor | Dataset
"""A folder of images, a list of image files, an array (N, C, H, W), or a data set of images."""


class ImageRows(ABC):
    """Images that can be read in any order, each with a hash of its content."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def name(self, row: int) -> str:
        """Return the name of an image for error messages."""

    def digest(self, row: int) -> bytes:
        """Return a hash of the content of an image, 32 bytes."""
        return self.read(row)[0]

    @abstractmethod
    def read(self, row: int) -> tuple[bytes, Tensor]:
        """Return the hash of an image, and its pixels, (C, H, W), as bytes or floats.

        Raises:
            DataError: The image cannot be read.
        """


def image_rows(images: Images) -> ImageRows:
    """Return the images of a source one by one.

    Args:
        images: A folder with one folder of images per class (its images are sorted by their paths),
            a list of image files, an array or tensor (N, C, H, W), or a map-style data set. Items
            of a data set are images of Pillow, or arrays (C, H, W), alone or first in a tuple.

    Raises:
        DataError: There are no images, or the source is none of these.
    """
    match images:
        case str() | Path():
            folder = Path(images)
            if not folder.is_dir():
                raise DataError(f"'{folder}' is not a folder. Give a folder of images.")
            rows: ImageRows = _Files(image_files(folder, labelled=False).paths)
        case np.ndarray() | Tensor():
            rows = _Array(images)
        case Dataset():
            rows = _Items(images)
        case [*paths] if all(isinstance(path, Path) for path in paths):
            rows = _Files(paths)
        case _:
            raise DataError(
                f"images is of type {type(images).__name__}. Give a folder, a list of paths, an "
                "array (N, C, H, W) or a data set."
            )
    if not len(rows):
        raise DataError("There are no images. Give at least one.")
    return rows


class _Files(ImageRows):
    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths

    def __len__(self) -> int:
        return len(self._paths)

    def name(self, row: int) -> str:
        return f"'{self._paths[row]}'"

    def digest(self, row: int) -> bytes:
        return hashlib.sha256(self._content(row)).digest()

    def read(self, row: int) -> tuple[bytes, Tensor]:
        content = self._content(row)
        with opened(self._paths[row], content) as image:
            pixels = np.array(plain(image, channels=3))
        return hashlib.sha256(content).digest(), torch.from_numpy(pixels).permute(2, 0, 1)

    def _content(self, row: int) -> bytes:
        try:
            return self._paths[row].read_bytes()
        except OSError as error:
            raise DataError(
                f"The image {self.name(row)} cannot be read ({error.strerror or error})."
            ) from error


class _Array(ImageRows):
    def __init__(self, images: np.ndarray | Tensor) -> None:
        if images.ndim != 4:
            raise DataError(
                f"images has shape {tuple(images.shape)}. Give the shape (N, channels, height, "
                "width)."
            )
        self._images = images

    def __len__(self) -> int:
        return len(self._images)

    def name(self, row: int) -> str:
        return f"number {row}"

    def read(self, row: int) -> tuple[bytes, Tensor]:
        return _hashed(self._images[row], self.name(row))


class _Items(ImageRows):
    def __init__(self, dataset: Any) -> None:
        if not hasattr(dataset, "__len__"):
            raise DataError("The data set has no length. Give a map-style data set.")
        self._dataset = dataset

    def __len__(self) -> int:
        return len(self._dataset)

    def name(self, row: int) -> str:
        return f"number {row} of the data set"

    def read(self, row: int) -> tuple[bytes, Tensor]:
        from PIL.Image import Image

        item = self._dataset[row]
        image = item[0] if isinstance(item, tuple | list) else item
        if isinstance(image, Image):
            image = np.array(plain(image, channels=3)).transpose(2, 0, 1)
        if not isinstance(image, np.ndarray | Tensor) or image.ndim != 3:
            raise DataError(
                f"Image {self.name(row)} is neither an image of Pillow nor an array (channels, "
                "height, width)."
            )
        return _hashed(image, self.name(row))


def _hashed(pixels: np.ndarray | Tensor, name: str) -> tuple[bytes, Tensor]:
    if isinstance(pixels, np.ndarray):
        if pixels.dtype.kind not in "uif":
            raise DataError(f"Image {name} has type {pixels.dtype}. Give bytes (uint8) or floats.")
        pixels = torch.from_numpy(np.array(pixels))  # a copy: the array may be read-only
    image = pixels.detach().cpu().contiguous()
    if image.dtype != torch.uint8 and not image.dtype.is_floating_point:
        raise DataError(f"Image {name} has type {image.dtype}. Give bytes (uint8) or floats.")
    if not image.numel():
        raise DataError(f"Image {name} has shape {tuple(image.shape)}, without any pixel.")
    kind = f"{image.dtype} {tuple(image.shape)} ".encode()
    content = image.reshape(-1).view(torch.uint8).numpy().tobytes()
    return hashlib.sha256(kind + content).digest(), image
