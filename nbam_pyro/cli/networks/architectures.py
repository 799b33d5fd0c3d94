"""Classifiers of torchvision without their last layer."""

import difflib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
from torch import Tensor, nn

from nbam_pyro.cli.files.messages import listing, problem

__all__ = ["Architecture", "architectures", "near", "with_weights"]


@dataclass(frozen=True)
class Architecture:
    """A classifier of torchvision, by its name.

    Attributes:
        name: Name in `torchvision.models`, for instance "resnet18".
    """

    name: str

    @property
    def size(self) -> int:
        """Height and width in pixels that the default weights were trained for."""
        return int(self._preset().crop_size[0])

    @property
    def mean(self) -> tuple[float, ...]:
        """Mean of each channel that the default weights were trained for."""
        return tuple(self._preset().mean)

    @property
    def std(self) -> tuple[float, ...]:
        """Standard deviation of each channel that the default weights were trained for."""
        return tuple(self._preset().std)

    @property
    def stored(self) -> Path:
        """Path at which torch keeps the default weights after their download."""
        from torchvision.models import get_model_weights

        url = get_model_weights(self.name).DEFAULT.url  # type: ignore[attr-defined]
        return Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(url).path).name

    def default_weights(self, *, progress: bool) -> Mapping[str, Tensor]:
        """Return the default weights from torch's folder; they are downloaded if they are missing.

        Args:
            progress: True to show the progress of the download.
        """
        from torchvision.models import get_model_weights

        weights = get_model_weights(self.name).DEFAULT  # type: ignore[attr-defined]
        found: Mapping[str, Tensor] = weights.get_state_dict(
            progress=progress, check_hash=True, weights_only=True
        )
        return found

    def _preset(self) -> Any:
        from torchvision.models import get_model_weights

        return get_model_weights(self.name).DEFAULT.transforms()  # type: ignore[attr-defined]


def architectures() -> list[str]:
    """Return the names of torchvision's classifiers that end in a linear layer."""
    import torchvision.models

    # A squeezenet ends in a convolution.
    return torchvision.models.list_models(module=torchvision.models, exclude="squeezenet*")


def near(name: str) -> str:
    """Return a sentence that names similar architectures, for an error message.

    Args:
        name: Name that is not an architecture.
    """
    matches = difflib.get_close_matches(name, architectures(), n=3)
    return f"Did you mean {' or '.join(matches)}?" if matches else "Give, for instance, resnet18."


def with_weights(name: str, weights: Mapping[str, Tensor], *, where: str) -> tuple[nn.Module, str]:
    """Return a classifier of torchvision with given weights, without its last linear layer.

    Args:
        name: Name in `torchvision.models`.
        weights: Weights of the classifier, by name. Those of the last layer are ignored.
        where: Source of the weights, for error messages.

    Returns:
        The network, which returns features (N, D); and the name of the layer that was removed.

    Raises:
        DataError: The classifier does not end in a linear layer, or the weights do not fit.
    """
    from torchvision.models import get_model

    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # two old networks announce other initial weights
        network = get_model(name, weights=None)
    linear = [part for part, module in network.named_modules() if isinstance(module, nn.Linear)]
    if not linear:
        raise problem(
            f"{name} does not end in a linear layer, so it is not known where its features are. "
            "Give another network, or a TorchScript file."
        )
    last = linear[-1]
    above, _, attribute = last.rpartition(".")
    setattr(network.get_submodule(above), attribute, nn.Identity())
    kept = {key: one for key, one in weights.items() if not key.startswith(f"{last}.")}
    expected = set(network.state_dict())
    wrong = [("lacks", sorted(expected - set(kept))), ("also has", sorted(set(kept) - expected))]
    for what, keys in wrong:
        if keys:
            raise problem(
                f"{where} does not have the weights of {name}: it {what} {listing(keys, most=3)}. "
                "Name the architecture that the weights belong to."
            )
    try:
        network.load_state_dict(kept)
    except RuntimeError as error:
        raise problem(
            f"{where} does not have the weights of {name}: {str(error).splitlines()[-1].strip()} "
            "Name the architecture that the weights belong to."
        ) from error
    return network, last
