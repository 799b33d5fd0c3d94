"""Grids of features from inside classifiers."""

import copy

import pytest
import torch
import torchvision

from nbam_pyro.cli.networks import grid_network
from nbam_pyro.data.frozen import network_digest
from nbam_pyro.errors import DataError


def classifier(name):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return torchvision.models.get_model(name, weights=None).eval()


def test_two_layers_on_the_finer_grid():
    network = classifier("shufflenet_v2_x0_5")
    grid, layers = grid_network(network, name="shufflenet", size=64)
    assert layers == ["stage2", "stage3"]
    x = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        features = copy.deepcopy(grid).eval()(x)
        fine = network.stage2(network.maxpool(network.conv1(x)))
    assert features.shape == (2, 48 + 96, 8, 8)
    torch.testing.assert_close(features[:, :48], fine)
    assert len(network._forward_hooks) == len(network.stage2._forward_hooks) == 0
    again, _ = grid_network(classifier("shufflenet_v2_x0_5"), name="shufflenet", size=64)
    assert network_digest(again) == network_digest(grid)


def test_networks_without_such_layers():
    with pytest.raises(DataError, match=r"tiny has no layers .* of 64 pixels"):
        grid_network(torch.nn.Conv2d(3, 4, 3), name="tiny", size=64)
