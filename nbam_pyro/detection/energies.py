"""Energies: how badly a row fits the clean world, and how badly the anomalous one."""

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

from torch import Tensor, nn


class Energies(NamedTuple):
    """Two energies of every row, low where it fits.

    Attributes:
        clean: E_n, (..., N): what a model of normal rows is trained to lower.
        anomalous: E_a, (..., N): what it would be trained to lower if the row were an anomaly.
    """

    clean: Tensor
    anomalous: Tensor


class Backbone(nn.Module, ABC):
    """Several independent members of one model, trained at once: a row each has its energies.

    Members have own weights and may see own rows; as one batched computation they cost little more
    than one.

    Attributes:
        normalised: whether exp(-E_n) and exp(-E_a) are densities of x. Only then do their
            difference and a prior make a posterior: other energies have units of their own.
    """

    normalised: ClassVar[bool] = False

    @abstractmethod
    def energies(self, x: Tensor) -> Energies:
        """Energies (S, N) of rows (S, N, ...), for S members."""

    def start(self, x: Tensor) -> None:
        """Set what is taken from the rows before training, (S, N, ...); nothing by default."""
