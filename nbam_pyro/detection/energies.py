"""Energies: how badly a row fits the clean world, and how badly the anomalous one."""

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

from torch import Tensor, nn

from nbam_pyro.errors import DataError


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

    Args:
        members: S.

    Attributes:
        normalised: whether exp(-E_n) and exp(-E_a) are densities of x. Only then do their
            difference and a prior make a posterior: other energies have units of their own.
        row_dims: of a row: 1 for features, 3 for images.
    """

    normalised: ClassVar[bool] = False
    row_dims: ClassVar[int] = 1

    def __init__(self, members: int) -> None:
        super().__init__()
        if members < 1:
            raise DataError(f"members is {members}; there must be one at least.")
        self.members = members

    @abstractmethod
    def energies(self, x: Tensor) -> Energies:
        """Energies (S, N) of rows (S, N, ...)."""

    def start(self, x: Tensor) -> None:
        """Set what is taken from the rows before training, (S, N, ...); nothing by default."""

    def rows(self, x: Tensor) -> Tensor:
        """Rows of every member, (S, N, ...), where all may see the same ones, (1, N, ...)."""
        return x.expand(self.members, *x.shape[1:])
