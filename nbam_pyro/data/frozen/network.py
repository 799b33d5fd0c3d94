"""A network that computes features, and a hash of what it is."""

import copy
import hashlib
import re
import warnings
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from nbam_pyro.data.frozen.views import MOST, views_of
from nbam_pyro.errors import DataError

__all__ = ["FrozenNetwork", "Precision", "network_digest"]

Precision: TypeAlias = Literal["float32", "bfloat16"]
"""Precision of the computation. Features are stored as float32 in either case."""

# Relative differences of features that rounding explains: threads, batches and devices differ.
_ROUNDING = {"float32": 1e-2, "bfloat16": 1e-1}
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def network_digest(network: nn.Module) -> str:
    """Return a hash of the weights and the architecture of a network, 64 hexadecimal digits.

    The architecture is the names, types and printed options of all layers; of a TorchScript module
    it also contains its code.

    Args:
        network: Any module.

    Example:
        >>> layer = nn.Linear(2, 2)
        >>> before = network_digest(layer)
        >>> _ = layer.weight.data.add_(1)
        >>> len(before), network_digest(layer) == before
        (64, False)
    """
    found = hashlib.sha256()
    if isinstance(network, torch.jit.ScriptModule):
        on_cpu = all(one.device.type == "cpu" for one in network.state_dict().values())
        found.update((network if on_cpu else copy.deepcopy(network).cpu()).save_to_buffer())
        return found.hexdigest()
    for name, module in network.named_modules():
        kind = f"{type(module).__module__}.{type(module).__qualname__}"
        options = _ADDRESS.sub("", module.extra_repr())
        found.update(f"{name}: {kind}({options})\n".encode())
    for name, weights in [*network.named_parameters(), *network.named_buffers()]:
        found.update(f"{name}: {weights.dtype} {tuple(weights.shape)}\n".encode())
        flat = weights.detach().cpu().contiguous().reshape(-1)
        found.update(flat.view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


@dataclass(frozen=True, kw_only=True)
class FrozenNetwork:
    """A copy of a network in evaluation mode, and how its features are computed.

    Attributes:
        module: The copy, with its weights in the channels-last memory format.
        pool: True to return the mean of a feature grid over its places.
        mirrored: True to average the features of each image and of its mirror image.
        views: Number of views of each image, whose features are not averaged.
        precision: Precision of the computation.
    """

    module: nn.Module
    pool: bool
    mirrored: bool
    views: int
    precision: Precision

    @classmethod
    def of(
        cls, network: nn.Module, *, pool: bool, mirrored: bool, views: int, precision: Precision
    ) -> "FrozenNetwork":
        """Copy a network, which stays as it is.

        Args:
            network: Any module. The copy stays on its device.
            pool: True to return the mean of a feature grid over its places.
            mirrored: True to average the features of each image and of its mirror image.
            views: Number of views of each image, whose features are not averaged.
            precision: Precision of the computation.

        Raises:
            DataError: The precision is unknown, or the number of views is out of range or is given
                together with `mirrored` or `pool=False`.
        """
        if not 1 <= views <= MOST:
            raise DataError(f"views is {views}. Give a number from 1 to {MOST}.")
        if views > 1 and (mirrored or not pool):
            raise DataError(
                "views are for pooled features that are not averaged. Leave out mirrored and pool, "
                "or views."
            )
        if precision not in _ROUNDING:
            raise DataError(f"precision is {precision!r}. Give {' or '.join(_ROUNDING)}.")
        module = copy.deepcopy(network).eval()
        with warnings.catch_warnings():  # deprecated details of TorchScript
            warnings.simplefilter("ignore")
            module = module.to(memory_format=torch.channels_last)
        return cls(module=module, pool=pool, mirrored=mirrored, views=views, precision=precision)

    def __call__(self, images: Tensor) -> np.ndarray:
        """Compute features.

        Args:
            images: Prepared images, (N, C, H, W).

        Returns:
            Features, (N, D) float32; with `pool=False`, (N, h, w, D); with V > 1 views, (N, V, D).

        Raises:
            DataError: The network cannot take these images, or its result is no such feature.
        """
        weights = next((one for one in self.module.parameters()), torch.empty(0))
        images = images.to(weights.device, memory_format=torch.channels_last)
        with (
            torch.inference_mode(),
            torch.autocast(weights.device.type, torch.bfloat16, self.precision == "bfloat16"),
        ):
            if self.views > 1:
                every = [self._features(view) for view in views_of(images, self.views)]
                return torch.stack(every, 1).cpu().numpy()
            features = self._features(images)
            if self.mirrored:
                again = self._features(images.flip(-1))
                features = (features + (again.flip(-2) if again.ndim == 4 else again)) / 2
        return features.cpu().numpy()

    def probe(self, shape: tuple[int, ...]) -> np.ndarray:
        """Compute features of two images of random pixels, which depend on the shape only.

        Args:
            shape: Shape of the images, (C, H, W).

        Raises:
            DataError: Features of an image change from call to call, or depend on the other images
                of a batch.
        """
        images = torch.rand((2, *shape), generator=torch.Generator().manual_seed(0))
        together, alone = self(images), self(images[:1])
        if not self.agree(together[:1], alone):
            raise DataError(
                "The network gives different features of the same image, by chance or because of "
                "the other images in a batch. Give a network without randomness, whose "
                "normalisation uses stored statistics."
            )
        return together

    def agree(self, one: np.ndarray, other: np.ndarray) -> bool:
        """Return True if features differ by no more than rounding.

        Args:
            one: Features of some images.
            other: Other features of the same images.
        """
        if one.shape != other.shape:
            return False
        one, other = (np.nan_to_num(values, posinf=0, neginf=0) for values in (one, other))
        limit = _ROUNDING[self.precision] * max(np.abs(one).max(), np.abs(other).max())
        return bool(np.abs(one - other).max() <= limit)

    def _features(self, images: Tensor) -> Tensor:
        try:
            found = self.module(images)
        except (RuntimeError, ValueError, TypeError, IndexError, AssertionError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[-1]
            raise DataError(
                f"The network cannot take images of shape {tuple(images.shape[1:])}: {reason}. "
                "Give another size, or images with another number of channels."
            ) from error
        if not isinstance(found, Tensor) or found.ndim not in (2, 4) or len(found) != len(images):
            shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise DataError(
                f"The network returns {shape} for {len(images)} images. It must return features "
                "(N, D), or a grid of features (N, D, h, w)."
            )
        if found.ndim == 4:
            return found.float().mean((2, 3)) if self.pool else found.float().permute(0, 2, 3, 1)
        if not self.pool:
            raise DataError(
                "The network returns one vector of features per image, not a grid. Leave out "
                "pool=False, or give the part of the network before its pooling."
            )
        return found.float()
