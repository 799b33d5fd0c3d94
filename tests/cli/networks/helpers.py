"""Small pretrained networks in files."""

import warnings

import torch
from torch import nn

from tests.data.frozen.helpers import small_network


def script_file(path, network=None):
    """A TorchScript file, of the small random network unless another is given."""
    network = small_network() if network is None else network
    with warnings.catch_warnings():  # torch recommends torch.export
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(network.eval(), torch.rand(2, 3, 8, 8))
        torch.jit.save(traced, path)
    return path


class Brightness(nn.Module):
    """The mean of each channel, and some combinations of them."""

    def forward(self, x):
        mean = x.mean((2, 3))
        return torch.cat([mean, mean.flip(1) * mean], 1)
