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

    Example:
        >>> import torch
        >>> Energies(torch.tensor([1.0, 3.0]), torch.tensor([3.0, 1.0])).clean
        tensor([1., 3.])
    """

    clean: Tensor
    anomalous: Tensor


class Backbone(nn.Module, ABC):
    """Several independent members of one model, trained at once: a row each has its energies.

    Members have own weights and may see own rows; as one batched computation they cost little more
    than one. To be saved, a backbone keeps its constructor's arguments as attributes of the same
    names.

    Args:
        members: S.

    Attributes:
        normalised: whether exp(-E_n) and exp(-E_a) are densities of x. Only then do their
            difference and a prior make a posterior: other energies have units of their own.
        row_dims: of a row: 1 for features, 3 for images.

    Example:
        >>> import torch
        >>> class Middle(Backbone):
        ...     def __init__(self, inputs: int, *, members: int = 1) -> None:
        ...         super().__init__(members)
        ...         self.middle = nn.Parameter(torch.zeros(members, 1, inputs))
        ...     def energies(self, x: Tensor) -> Energies:
        ...         distance = (x - self.middle).square().sum(-1)
        ...         return Energies(distance, 1 / (distance + 1e-6))
        >>> Middle(2).energies(torch.ones(1, 3, 2)).clean
        tensor([[2., 2., 2.]], grad_fn=<SumBackward1>)
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
