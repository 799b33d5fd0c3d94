"""The network that `--features` names."""

import hashlib
import pickle
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from nbam_pyro.cli.files.messages import problem
from nbam_pyro.cli.networks.architectures import Architecture, architectures, near, with_weights
from nbam_pyro.cli.networks.torchscript import read_torchscript
from nbam_pyro.data.frozen import network_digest

__all__ = ["GivenNetwork", "given_network", "suggestion"]

_SAFE = ".safetensors"
# Most networks were trained with these numbers, the mean and the standard deviation of ImageNet.
_SIZE, _MEAN, _STD = 224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True, kw_only=True)
class GivenNetwork:
    """A pretrained network, and the images that it was trained on.

    Attributes:
        name: Name of the architecture or file, for people.
        module: The network, on the CPU. It takes images and returns features.
        digest: Hash of weights and architecture, or of a TorchScript file.
        layer: Name of the layer that was removed; None if none was.
        size: Usual height and width of images in pixels.
        mean: Mean of each channel, for pixels in [0, 1].
        std: Standard deviation of each channel.
    """

    name: str
    module: nn.Module
    digest: str
    layer: str | None
    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


def given_network(text: str, *, download: bool = False, progress: bool = False) -> GivenNetwork:
    """Return the network that a person has named.

    Args:
        text: NAME of a classifier of torchvision, for its default weights; NAME:FILE.safetensors
            for its weights in a file; or the path of a TorchScript file.
        download: True to allow the download of default weights.
        progress: True to show the progress of a download.

    Raises:
        DataError: There is no such network, its weights do not fit, or they would have to be
            downloaded.
    """
    name, colon, file = text.partition(":")
    if colon and file.lower().endswith(_SAFE):
        return _of_safetensors(name, Path(file))
    if text in architectures():
        return _of_torchvision(Architecture(text), download=download, progress=progress)
    path = Path(text)
    if not path.is_file():
        raise problem(
            f"--features is {text!r}, which is neither a file nor a classifier of torchvision with "
            f"a linear last layer. {near(text)}"
        )
    if path.suffix.lower() == _SAFE:
        raise problem(
            f"'{path}' has weights without their architecture. Give both, for instance --features "
            f"resnet18:{path}."
        )
    network = read_torchscript(path)
    return GivenNetwork(
        name=path.name,
        module=network,
        digest=hashlib.sha256(path.read_bytes()).hexdigest(),
        layer=None,
        size=_SIZE,
        mean=_MEAN,
        std=_STD,
    )


def suggestion() -> str | None:
    """Return a sentence that names a network whose weights torch has downloaded, or None."""
    for name in architectures():
        if Architecture(name).stored.is_file():
            return (
                f"The weights of {name} are on this machine. Features of this network are often "
                f"better than pixels: add --features {name}."
            )
    return None


def _of_safetensors(name: str, path: Path) -> GivenNetwork:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if name not in architectures():
        raise problem(
            f"{name!r} is not a classifier of torchvision with a linear last layer. {near(name)}"
        )
    try:
        weights = load_file(path)
    except (SafetensorError, OSError) as error:
        raise problem(
            f"'{path}' cannot be read as safetensors: {error}. Check the path, or write it again."
        ) from error
    network, layer = with_weights(name, weights, where=f"'{path}'")
    return _of_architecture(Architecture(name), network, layer)


def _of_torchvision(one: Architecture, *, download: bool, progress: bool) -> GivenNetwork:
    if not download and not one.stored.is_file():
        raise problem(
            f"The weights of {one.name} are not on this machine ('{one.stored}'). Add --download "
            f"to download them, or give a file: --features {one.name}:FILE.safetensors."
        )
    try:
        weights = one.default_weights(progress=progress)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise problem(
            f"'{one.stored}' cannot be read. Remove this file, and add --download."
        ) from error
    except OSError as error:
        raise problem(
            f"The weights of {one.name} cannot be downloaded ({error}). Check the connection, or "
            f"give a file: --features {one.name}:FILE.safetensors."
        ) from error
    network, layer = with_weights(one.name, weights, where=f"'{one.stored}'")
    return _of_architecture(one, network, layer)


def _of_architecture(one: Architecture, network: nn.Module, layer: str) -> GivenNetwork:
    return GivenNetwork(
        name=one.name,
        module=network,
        digest=network_digest(network),
        layer=layer,
        size=one.size,
        mean=one.mean,
        std=one.std,
    )
