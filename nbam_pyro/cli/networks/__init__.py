"""Pretrained networks that a person names on the command line."""

from nbam_pyro.cli.networks.given import GivenNetwork, given_network, suggestion
from nbam_pyro.cli.networks.grids import grid_network

__all__ = ["GivenNetwork", "given_network", "grid_network", "suggestion"]
