"""The features of images by the network that `--features` names."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nbam_pyro.cli.files import Encoding, FrozenEncoding, NetworkFeatures, Source, UsedNetwork
from nbam_pyro.cli.networks import given_network, grid_network, suggestion
from nbam_pyro.data.frozen import image_features
from nbam_pyro.errors import DataError

__all__ = ["FeatureOptions", "feature_options", "with_features"]


@dataclass(frozen=True, kw_only=True)
class FeatureOptions:
    """A network for the features of images, as a person has named it.

    Attributes:
        network: NAME of a classifier of torchvision, NAME:FILE.safetensors, or a TorchScript file.
        size: Height and width of images in pixels; None for the usual size of the network.
        mean: Mean of pixels in [0, 1] that the network was trained with; None for its usual mean.
        std: Standard deviation of these pixels; None for its usual standard deviation.
        download: True to allow the download of weights.
        cache: Folder for the features; None for the user's cache folder.
    """

    network: str
    size: int | None = None
    mean: float | None = None
    std: float | None = None
    download: bool = False
    cache: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """The options for settings.json."""
        return asdict(self) | {"cache": None if self.cache is None else str(self.cache)}

    @classmethod
    def of_json(cls, saved: dict[str, Any] | None) -> "FeatureOptions | None":
        """Return the options that settings.json contains; None if there are none.

        Args:
            saved: Entry of settings.json.
        """
        if saved is None:
            return None
        cache = saved["cache"]
        return cls(**{**saved, "cache": None if cache is None else Path(cache)})


def feature_options(
    network: str | None,
    *,
    size: int | None = None,
    pixels: str | None = None,
    download: bool = False,
    cache: Path | None = None,
) -> FeatureOptions | None:
    """Check the options of the command line about features of images.

    Args:
        network: Value of `--features`; None if it is not given.
        size: Value of `--image-size`.
        pixels: Value of `--image-scale`: mean and standard deviation, as in "0.5,0.5".
        download: Value of `--download`.
        cache: Value of `--cache`.

    Raises:
        DataError: `pixels` is not valid, or there are options without a network.

    Example:
        >>> feature_options("resnet18", pixels="0.5,0.25").std
        0.25
    """
    if network is None:
        if size is not None or pixels is not None or download or cache is not None:
            raise DataError(
                "--image-size, --image-scale, --download and --cache are for a network that "
                "computes features. Give --features, or leave them out."
            )
        return None
    mean, std = (None, None) if pixels is None else _scale(pixels)
    return FeatureOptions(
        network=network, size=size, mean=mean, std=std, download=download, cache=cache
    )


def with_features(
    source: Source,
    options: FeatureOptions | None,
    *,
    data: str,
    trained: Encoding | None = None,
    pool: bool = True,
    progress: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Source:
    """Replace images by the features of a network, if one is named.

    Args:
        source: Rows of a file or folder.
        options: The network; None to return the rows as they are.
        data: Name of the file or folder, for messages.
        trained: Encoding of the training rows; None in training. The preparation of images is then
            that of the training, and another network is refused.
        pool: False for the grid of features of each image, (N, h, w, D), before its mean.
        progress: True to show progress bars.
        say: Function that is called with each message about the progress.

    Raises:
        DataError: The data are no images, the network cannot be used, or it is not the network of
            the training.
    """
    if options is None:
        hint = suggestion() if trained is None and isinstance(source.x, list) else None
        if hint is not None:
            say(hint)
        return source
    if trained is not None and not isinstance(trained, FrozenEncoding):
        raise DataError("The run was fitted without --features. Leave this option out.")
    x = source.x
    if not isinstance(x, list) and not (isinstance(x, np.ndarray) and x.ndim == 4):
        raise DataError(
            f"'{data}' has no images, and --features is for images. Leave this option out."
        )
    given = given_network(options.network, download=options.download, progress=progress)
    if trained is None:
        used = UsedNetwork(
            name=given.name,
            digest=given.digest,
            layer=given.layer,
            size=options.size or given.size,
            mean=given.mean if options.mean is None else (options.mean,),
            std=given.std if options.std is None else (options.std,),
        )
    else:
        used = trained.network
        used.check(given.name, given.digest)
    module, part = given.module, ""
    if given.layer is not None and pool:
        part = f" (without its layer {given.layer})"
    elif given.layer is not None:
        module, layers = grid_network(module.eval(), name=given.name, size=used.size)
        part = f" (its layers {' and '.join(layers)})"
    say(f"Features of {len(x)} images from {given.name}{part} at {used.size} pixels ...")
    gpu = torch.cuda.is_available()
    values = image_features(
        x,
        module.to("cuda" if gpu else "cpu"),
        size=used.size,
        mean=used.mean,
        std=used.std,
        pool=pool,
        batch_size=128 if gpu else 16,
        cache=options.cache,
        progress=progress,
    )
    return replace(source, x=NetworkFeatures(values, used))


def _scale(text: str) -> tuple[float, float]:
    try:
        mean, std = (float(part) for part in text.split(","))
    except ValueError as error:
        raise DataError(
            f"--image-scale is {text!r}. Give the mean and the standard deviation of pixels from 0 "
            "to 1, for instance 0.5,0.5."
        ) from error
    return mean, std
