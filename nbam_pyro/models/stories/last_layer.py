"""The last layer of a network: its width, its features, and a posterior of its weights."""

import copy

import pyro.distributions as dist
from pyro.distributions import TorchDistribution
from torch import Tensor, nn

from nbam_pyro.errors import StoryError


def last_width(network: nn.Module) -> int:
    """Return the number of features before the last layer of a network.

    Args:
        network: An `nn.Sequential` that ends in `nn.Linear`.

    Raises:
        StoryError: The network is another module.
    """
    if isinstance(network, nn.Sequential) and isinstance(network[-1], nn.Linear):
        return network[-1].in_features
    raise StoryError(
        "locality and last_layer need the features before the network's last layer: give the "
        "network as nn.Sequential(trunk, nn.Linear(width, num_classes))."
    )


def with_fixed_last_layer(network: nn.Module) -> nn.Module:
    """Return the network with a copy of its last layer that training does not change.

    Draws from a posterior replace the weights of that copy. The given network keeps its own last
    layer.

    Args:
        network: An `nn.Sequential` that ends in `nn.Linear`.

    Raises:
        StoryError: The network is another module.
    """
    last_width(network)
    last = copy.deepcopy(network[-1]).requires_grad_(False)  # type: ignore[index]
    return nn.Sequential(*network[:-1], last)  # type: ignore[index]


def last_layer_priors(
    num_classes: int, features: int, scale: Tensor
) -> dict[str, TorchDistribution]:
    """Return the Normal priors of the weights of the last layer by site name.

    Args:
        num_classes: Number of classes K.
        features: Number D of features before the last layer.
        scale: Standard deviation, ().

    Returns:
        The priors of "weight", (K, D), and of "bias", (K,).
    """
    sizes = {"weight": (num_classes, features), "bias": (num_classes,)}
    return {
        name: dist.Normal(scale.new_zeros(size), scale, validate_args=False).to_event(len(size))
        for name, size in sizes.items()
    }
