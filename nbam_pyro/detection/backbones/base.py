"""Energies: how badly a row fits the clean world, and how badly the anomalous one."""

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from nbam_pyro.errors import DataError

# The anomaly energy of a row whose clean energy is 0 would be infinite.
_EPS = 1e-6


class Energies(NamedTuple):
    """Two energies of every row, low where it fits.

    Attributes:
        clean: E_n, (..., N): what a model of normal rows is trained to lower.
        anomalous: E_a, (..., N): what it would be trained to lower if the row were an anomaly.

    Example:
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
        >>> class Middle(Backbone):
        ...     def __init__(self, inputs: int, *, members: int = 1) -> None:
        ...         super().__init__(members)
        ...         self.middle = nn.Parameter(torch.zeros(members, 1, inputs))
        ...     def energies(self, x: Tensor) -> Energies:
        ...         distance = (x - self.middle).square().sum(-1)
        ...         return Energies(distance, complement(distance))
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


def complement(energy: Tensor) -> Tensor:
    r"""-log(1 - e^{-E}), the energy of an anomaly where e^{-E} says how normal a row is.

    Both energies are equal where e^{-E} is one half, at E = log 2; where a row is far from normal,
    nothing is gained by pushing it further. What that means depends on the unit of E.

    Source: Ruff et al. (2021), hypersphere classification.

    Example:
        >>> complement(torch.tensor([0.5]).log().neg())
        tensor([0.6931])
    """
    return -(-torch.expm1(-energy - _EPS)).log()


def inverse(energy: Tensor) -> Tensor:
    """1 / (E + 10^-6): the energy of an anomaly in Deep SAD.

    Source: Ruff et al. (2020).

    Example:
        >>> inverse(torch.tensor([2.0]))
        tensor([0.5000])
    """
    return 1 / (energy + _EPS)


def unit_of(values: Tensor) -> Tensor:
    """The median of rows as a unit, (S, N) -> (S, 1); 1 where it is 0.

    Example:
        >>> unit_of(torch.tensor([[1.0, 3.0, 9.0], [0.0, 0.0, 1.0]]))
        tensor([[3.],
                [1.]])
    """
    middle = values.median(1, keepdim=True).values
    return torch.where(middle > 0, middle, 1.0)
