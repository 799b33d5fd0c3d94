"""Grids of features from inside a classifier of torchvision."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from nbam_pyro.cli.files.messages import problem

__all__ = ["GridNetwork", "grid_network"]

# Pixels of an image per cell of the two grids. Finer grids know colours and edges only, and coarser
# ones know objects but not where they are.
_FINE, _COARSE = 8, 16


class GridNetwork(nn.Module):
    """The features of two layers of a network, on the grid of the finer one.

    Args:
        network: Module that returns a dictionary with the grids "fine" and "coarse".
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Return a grid of features, (N, D, h, w).

        Args:
            x: Images, (N, C, H, W).
        """
        grids = self.network(x)
        fine, coarse = grids["fine"], grids["coarse"]
        larger = interpolate(coarse, size=fine.shape[2:], mode="bilinear", align_corners=False)
        return torch.cat([fine, larger], 1)


def grid_network(network: nn.Module, *, name: str, size: int) -> tuple[GridNetwork, list[str]]:
    """Return the part of a classifier that computes grids of features, and the names of its layers.

    Args:
        network: Classifier in evaluation mode.
        name: Name of the architecture, for the error message.
        size: Height and width of images in pixels.

    Raises:
        DataError: The classifier has no layers with cells of 8 and of 16 pixels.
    """
    from torchvision.models.feature_extraction import create_feature_extractor

    shapes = _shapes(network, size)
    names = []
    for pixels in (_FINE, _COARSE):
        side = -(-size // pixels)
        layers = [layer for layer, sides in reversed(shapes) if sides == (side, side)]
        # The last of the outermost layers: a whole block rather than a part of one.
        names += sorted(layers, key=lambda layer: layer.count("."))[:1]
    if len(names) < 2:
        raise problem(
            f"{name} has no layers with grids of features at an eighth and at a sixteenth of "
            f"{size} pixels. Give a convolutional network such as resnet18, a size that is a "
            "multiple of 32, or a TorchScript file of a network that returns a grid."
        )
    nodes = dict(zip(names, ("fine", "coarse"), strict=True))
    return GridNetwork(create_feature_extractor(network, nodes)).eval(), names


def _shapes(network: nn.Module, size: int) -> list[tuple[str, tuple[int, ...]]]:
    """Return names and grid sizes of all layers with a grid, in the order of their computation."""
    found: list[tuple[str, tuple[int, ...]]] = []

    def noting(name: str) -> Any:
        def note(_module: nn.Module, _given: Any, result: Any) -> None:
            if isinstance(result, Tensor) and result.ndim == 4:
                found.append((name, tuple(result.shape[2:])))

        return note

    hooks = [
        module.register_forward_hook(noting(name))
        for name, module in network.named_modules()
        if name
    ]
    try:
        with torch.inference_mode():
            network(torch.zeros(1, 3, size, size))
    finally:
        for hook in hooks:
            hook.remove()
    return found
