"""`image_features`: features of images by a frozen network, kept on disk."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from nbam_pyro.data.frozen.network import FrozenNetwork, Precision, network_digest
from nbam_pyro.data.frozen.preparation import Preparation
from nbam_pyro.data.frozen.rows import ImageRows, Images, image_rows
from nbam_pyro.data.frozen.store import Store, default_cache, opened_store
from nbam_pyro.errors import DataError

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["image_features"]

# Images whose features are lost at most when the computation is interrupted.
_BLOCK = 256
_FORMAT = 1


def image_features(
    images: Images,
    network: nn.Module,
    *,
    size: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    pool: bool = True,
    mirrored: bool = False,
    views: int = 1,
    precision: Precision = "float32",
    batch_size: int = 16,
    cache: str | Path | None = None,
    progress: bool = False,
) -> np.ndarray:
    r"""Compute features of images with a network that is not trained, and keep them on disk.

    .. math:: h_i = \frac{1}{|G|} \sum_{g \in G} f(x_i)_g

    f is the network, in evaluation mode, and G are the places of its feature grid. A network that
    returns one vector per image needs no mean.

    Features are found by the content of images, the weights and architecture of the network, and
    the preparation. So a changed image or network is always noticed, images may be moved to other
    folders, and only features of new images are computed. An interrupted call continues after the
    last finished block of 256 images, and then returns exactly the same numbers. Batches of other
    sizes change features by rounding only. Two images of random pixels check whether the code of
    the network is still the same.

    Args:
        images: A folder with one folder of images per class (in the order of the sorted paths), a
            list of paths of image files, an array or tensor (N, C, H, W), or a map-style data set.
            Items of a data set are Pillow images or arrays (C, H, W), alone or first in a tuple.
            Arrays hold bytes (uint8) or floats in [0, 1]. Image files become RGB.
        network: A module that takes images (N, C, H, W) and returns features (N, D), or a grid of
            features (N, D, h, w), for instance a classifier without its last layer. It is used on
            the device on which it is. It is copied and stays as it is.
        size: Height and width that the network gets, in pixels. The largest square in the centre of
            each image is scaled to it. None if all images have the same size and keep it.
        mean: Mean of each channel that the network was trained with, for pixels in [0, 1]; one
            number for all channels, or one for each. Grey images get as many channels as there are
            numbers. None to leave pixels as they are.
        std: Standard deviation of each channel, in the same way.
        pool: False to return the grid of features before its mean.
        mirrored: True to average the features of each image and of its mirror image (left and right
            exchanged). It takes twice as long.
        views: Number V of views of each image, for augmentation with `models.RandomView`, 1 to 10:
            the image and its mirror image, crops of 7/8 of the side in the four corners, each
            followed by its mirror image. It takes V times as long.
        precision: "float32", or "bfloat16", which is faster on some processors only, and changes
            features by some percent.
        batch_size: Number of images that the network gets at once. Small batches are faster on
            most processors; graphics cards need 64 or more.
        cache: Folder for the features. None for `nbam_pyro/features` in the user's cache folder,
            `$XDG_CACHE_HOME` or `~/.cache`.
        progress: True to show progress bars.

    Returns:
        Features, (N, D) float32, a read-only memory map of a file in the cache. With `pool=False`,
        (N, h, w, D); with V > 1 views, (N, V, D).

    Raises:
        DataError: An image cannot be read, images differ in shape, the network cannot take them or
            does not return features, or it is random; or options contradict each other.
        FolderError: The cache cannot be written.

    Example:
        >>> import tempfile
        >>> network = nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU())
        >>> images = np.zeros((4, 3, 8, 8), dtype=np.uint8)
        >>> with tempfile.TemporaryDirectory() as cache:
        ...     h = image_features(images, network, cache=cache)
        ...     grid = image_features(images, network, pool=False, cache=cache)
        >>> h.shape, h.dtype, grid.shape
        ((4, 5), dtype('float32'), (4, 6, 6, 5))
    """
    if batch_size < 1:
        raise DataError(f"batch_size is {batch_size}. Give a number of images, 1 or more.")
    rows = image_rows(images)
    preparation = Preparation(
        size=size,
        mean=None if mean is None else tuple(map(float, mean)),
        std=None if std is None else tuple(map(float, std)),
    )
    frozen = FrozenNetwork.of(
        network, pool=pool, mirrored=mirrored, views=views, precision=precision
    )
    work = _Work(rows, preparation, frozen, batch_size)
    folder = default_cache() if cache is None else Path(cache)
    with (
        _bar(shown=progress) as bar,
        opened_store(folder, work.description(network_digest(network))) as store,
    ):
        _check_probe(store, frozen, work.shape)
        digests = work.digests(bar)
        finished = store.read(digests)
        if finished is not None:
            return finished
        work.add_missing(store, digests, bar)
        return store.collect(digests)


class _Work:
    """Images, and what is done to each of them."""

    def __init__(
        self, rows: ImageRows, preparation: Preparation, frozen: FrozenNetwork, batch_size: int
    ) -> None:
        self.rows = rows
        self.preparation = preparation
        self.frozen = frozen
        self.batch_size = batch_size
        self.shape = tuple(self._prepared(0)[1].shape)

    def description(self, network: str) -> dict[str, Any]:
        """Everything on which features depend, besides the images."""
        return {
            "format": _FORMAT,
            "network": network,
            "preparation": asdict(self.preparation),
            "shape": self.shape,
            "pool": self.frozen.pool,
            "mirrored": self.frozen.mirrored,
            "views": self.frozen.views,
            "precision": self.frozen.precision,
        }

    def digests(self, bar: "Progress") -> list[bytes]:
        """Hashes of all images."""
        return [
            self.rows.digest(row)
            for row in bar.track(range(len(self.rows)), description="Reading images")
        ]

    def add_missing(self, store: Store, digests: Sequence[bytes], bar: "Progress") -> None:
        """Compute features that the store does not have, block by block."""
        first: dict[bytes, int] = {}  # copies of an image share its features
        for row, one in enumerate(digests):
            first.setdefault(one, row)
        known = store.places()
        todo = [row for one, row in first.items() if one not in known]
        task = bar.add_task("Computing features", total=len(todo))
        step = self.batch_size * max(1, _BLOCK // self.batch_size)
        for start in range(0, len(todo), step):
            block = todo[start : start + step]
            parts = []
            for first_row in range(0, len(block), self.batch_size):
                batch = block[first_row : first_row + self.batch_size]
                parts.append(self._features(batch, digests))
                bar.advance(task, len(batch))
            store.add([digests[row] for row in block], np.concatenate(parts))

    def _features(self, batch: Sequence[int], digests: Sequence[bytes]) -> np.ndarray:
        images = []
        for row in batch:
            digest, image = self._prepared(row)
            if digest != digests[row]:
                raise DataError(
                    f"Image {self.rows.name(row)} was different when it was read again. Files must "
                    "not change meanwhile, and a data set must not change its images by chance."
                )
            if image.shape != self.shape:
                raise DataError(
                    f"Image {self.rows.name(row)} has shape {tuple(image.shape)}, but "
                    f"{self.rows.name(0)} has {self.shape}. Give a size to scale all images to."
                )
            images.append(image)
        features = self.frozen(torch.stack(images))
        finite = np.isfinite(features).reshape(len(features), -1).all(axis=1)
        if not finite.all():
            raise DataError(
                "The network gives missing or infinite features for image "
                f"{self.rows.name(batch[int(np.argmin(finite))])}. Check the image and the network."
            )
        return features

    def _prepared(self, row: int) -> tuple[bytes, Tensor]:
        digest, image = self.rows.read(row)
        try:
            return digest, self.preparation(image)
        except DataError as error:
            raise DataError(f"Image {self.rows.name(row)}: {error}") from error


def _check_probe(store: Store, frozen: FrozenNetwork, shape: tuple[int, ...]) -> None:
    probe, before = frozen.probe(shape), store.probe()
    if before is None:
        store.write_probe(probe)
    elif not frozen.agree(before, probe):
        raise DataError(
            f"The network has the weights of the one whose features are in '{store.folder}', but "
            "computes other features: its code has changed. Remove this folder, or give another "
            "cache."
        )


def _bar(*, shown: bool) -> "Progress":
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not shown,
    )
