"""Labelled images of torchvision as arrays."""

import difflib
import inspect
import operator
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nbam_pyro.errors import DataError

__all__ = ["torchvision_data"]


def torchvision_data(
    name: str, root: str | Path, *, train: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Return images and labels of a data set of torchvision; nothing is downloaded.

    Args:
        name: Class name in `torchvision.datasets`, for instance "FashionMNIST" or "CIFAR10".
        root: Folder with the files, as torchvision expects them.
        train: True for the training part, False for the test part. A data set without parts is
            treated as a training part.

    Returns:
        Pixels in [0, 1], (N, C, H, W) float32, and labels, (N,) int64.

    Raises:
        DataError: torchvision has no such data set, the folder does not contain its files, the data
            set has no test part, or it does not consist of images of one size with one class each.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> with tempfile.TemporaryDirectory() as root:
        ...     for i, animal in enumerate(["cat", "dog"]):
        ...         (Path(root) / animal).mkdir()
        ...         Image.new("L", (4, 3), 255 * i).convert("RGB").save(f"{root}/{animal}/0.png")
        ...     x, y = torchvision_data("ImageFolder", root)
        >>> x.shape, x.max(axis=(1, 2, 3)), y
        ((2, 3, 3, 4), array([0., 1.], dtype=float32), array([0, 1]))
    """
    data = _open(name, Path(root).expanduser(), train)
    pixels, labels = _whole(name, data)
    scaled = pixels.astype(np.float32, order="C")
    scaled /= 255
    return scaled, labels


def _open(name: str, root: Path, train: bool) -> Any:
    kind = _class(name)
    options = _options(name, inspect.signature(kind).parameters, train)
    try:
        return kind(root, **options)
    except (RuntimeError, OSError) as error:
        raise DataError(
            f"The files of {name} are missing or incomplete in '{root}'. This function does not "
            "download them. Put them in this folder in the form that "
            f"torchvision.datasets.{name} expects."
        ) from error
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{name} cannot be opened with its folder and {options} only ({error}). "
            "Open it with torchvision and pass arrays."
        ) from error


def _class(name: str) -> Any:
    from torchvision import datasets

    kind = getattr(datasets, name, None)
    # The namespace also contains submodules and functions.
    if isinstance(kind, type) and issubclass(kind, datasets.VisionDataset):
        return kind
    # Names that differ in upper and lower case only must match.
    names = {known.lower(): known for known in datasets.__all__}
    near = [names[match] for match in difflib.get_close_matches(name.lower(), names, n=3)]
    hint = f"Did you mean {' or '.join(near)}?" if near else "Give, for instance, FashionMNIST."
    raise DataError(
        f"{name!r} is not a data set of torchvision. Names are the classes of "
        f"torchvision.datasets. {hint}"
    )


def _options(
    name: str, parameters: Mapping[str, inspect.Parameter], train: bool
) -> dict[str, bool | str]:
    options: dict[str, bool | str] = {}
    if "train" in parameters:
        options["train"] = train
    elif "split" in parameters:
        options["split"] = "train" if train else "test"
    elif not train:
        raise DataError(
            f"{name} has no test part: it has neither an argument train nor split. "
            "Load it with train=True and split it yourself."
        )
    # Some data sets download their files by default.
    if "download" in parameters:
        options["download"] = False
    return options


def _whole(name: str, data: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the images as bytes, (N, C, H, W), and the labels, (N,)."""
    first, label = _item(name, data, 0)
    pixels, labels = np.asarray(getattr(data, "data", [])), np.asarray(getattr(data, "targets", []))
    if pixels.ndim == 3:
        pixels = pixels[..., None]
    # The data set's own arrays are much faster, if they agree with its items (channels last).
    if pixels.ndim == 4 and pixels.dtype == np.uint8 and labels.shape == pixels.shape[:1]:
        pixels = np.moveaxis(pixels, -1, 1)
        if np.array_equal(pixels[0], first) and labels[0] == label:
            return pixels, labels.astype(np.int64)
    pixels, labels = np.empty((len(data), *first.shape), np.uint8), np.empty(len(data), np.int64)
    for i in range(len(data)):
        image, labels[i] = _item(name, data, i)
        if image.shape != first.shape:
            raise DataError(
                f"{name} has images of shapes {first.shape} and {image.shape}. "
                "Resize them to one size with torchvision and pass arrays."
            )
        pixels[i] = image
    return pixels, labels


def _item(name: str, data: Any, row: int) -> tuple[np.ndarray, int]:
    """Return one image as bytes, (C, H, W), and its label."""
    from PIL import Image

    try:
        image, label = data[row]
        if not isinstance(image, Image.Image):
            raise TypeError(f"a {type(image).__name__} is not an image")
        image = image.convert("L" if image.mode in {"1", "L"} else "RGB")
        pixels = np.asarray(image).reshape(image.height, image.width, -1)
        return np.moveaxis(pixels, -1, 0), operator.index(label)
    except (TypeError, ValueError, IndexError, NotImplementedError) as error:
        raise DataError(
            f"{name} does not consist of (image, label) pairs: row {row} is not such a pair. "
            "Choose a data set for classification."
        ) from error
