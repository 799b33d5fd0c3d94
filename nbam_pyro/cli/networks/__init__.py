"""Pretrained networks that a person names on the command line."""

from nbam_pyro.cli.networks.given import GivenNetwork, given_network, suggestion

__all__ = ["GivenNetwork", "given_network", "suggestion"]
