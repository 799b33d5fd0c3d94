"""The base class of backbones, which compute two energies for each row."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from nbam_pyro.errors import DataError
from nbam_pyro.training.hooks import StepHook

# The anomaly energy of a row whose clean energy is 0 would be infinite.
_EPS = 1e-6


class Energies(NamedTuple):
    """The two energies of each row, which show how well it fits a model: low means a good fit.

    For a model with densities, an energy is a negative log density.

    Attributes:
        clean: Clean energies E_n, (..., N), low if the row looks normal. Training lowers them for
            normal rows.
        anomalous: Anomaly energies E_a, (..., N), low if the row looks like an anomaly. Training
            lowers them for anomalies.

    Example:
        >>> Energies(torch.tensor([1.0, 3.0]), torch.tensor([3.0, 1.0])).clean
        tensor([1., 3.])
    """

    clean: Tensor
    anomalous: Tensor


class Backbone(nn.Module, ABC):
    """The base class of models that give each row two energies.

    A backbone holds S independent models, its members. Each member has its own weights and may have
    its own rows. All members are trained at once: one batched computation of all members takes
    little longer than that of one member.

    A backbone can be saved if it keeps the arguments of its constructor as attributes of the same
    names.

    Args:
        members: Number S of members.

    Attributes:
        normalised: Whether exp(-E_n) and exp(-E_a) are densities of x. A posterior needs densities
            and a prior. Other energies have an arbitrary scale. Therefore their difference is not a
            log odds.
        one_cycle: Whether the step size rises and then falls during training, or is constant.
        row_dims: Number of dimensions of one row: 1 for features, 3 for images.

    Raises:
        DataError: The number of members is below 1.

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
    one_cycle: ClassVar[bool] = False
    row_dims: ClassVar[int] = 1

    def __init__(self, members: int) -> None:
        super().__init__()
        if members < 1:
            raise DataError(f"members is {members}; give 1 or more.")
        self.members = members

    @abstractmethod
    def energies(self, x: Tensor) -> Energies:
        """Return the energies of rows.

        Args:
            x: Rows of each of the S members (models), (S, N, ...).

        Returns:
            Clean and anomaly energies of the rows of each member: two tensors of shape (S, N).
        """

    def start(self, x: Tensor) -> None:
        """Set constants, such as a centre or a unit, from the rows before training.

        The default does nothing.

        Args:
            x: Training rows of each of the S members (models), (S, N, ...).
        """

    def finish(self, x: Tensor, normal: Callable[[], Tensor]) -> None:
        """Set constants from the rows after training, when the backbone is in evaluation mode.

        The default does nothing.

        Args:
            x: Training rows of each of the S members (models), (S, N, ...).
            normal: Function that computes the energies of these rows as they are now, and returns
                whether the assignment takes each row for normal, (S, N) booleans.
        """

    def hook(self) -> StepHook | None:
        """Return what happens to each training batch before its loss is computed; None for nothing.

        A hook may replace rows by views of them. `energies` must then take such views, too.
        """
        return None

    def smoothed(self) -> Sequence[Callable[[Tensor], Tensor]]:
        """Return differentiable functions that rise with the clean energies, for attacks.

        Each takes rows of each member, (S, N, ...), and returns (S, N). An attack also moves rows
        through them, where the clean energies have kinks. The default is none.
        """
        return ()

    def rows(self, x: Tensor) -> Tensor:
        """Return the rows of each member, (S, N, ...).

        Args:
            x: Rows of each of the S members, (S, N, ...), or one set for all, (1, N, ...).
        """
        return x.expand(self.members, *x.shape[1:])


def complement(energy: Tensor) -> Tensor:
    r"""Return the anomaly energy -log(1 - e^{-E}), for clean energies E where e^{-E} is in [0, 1].

    Both energies are equal at E = log 2, where e^{-E} is one half. For a row far from normal the
    anomaly energy is almost 0. Training then gains almost nothing by moving the row further away.
    The unit of E decides at which distance this begins.

    Args:
        energy: Clean energies E, 0 or more, of any shape.

    Source: Ruff et al. (2021), hypersphere classification.

    Example:
        >>> complement(torch.tensor([0.5]).log().neg())
        tensor([0.6931])
    """
    return -(-torch.expm1(-energy - _EPS)).log()


def inverse(energy: Tensor) -> Tensor:
    """Return the anomaly energy of Deep SAD, 1 / (E + 10^-6).

    Args:
        energy: Clean energies E, 0 or more, of any shape.

    Source: Ruff et al. (2020).

    Example:
        >>> inverse(torch.tensor([2.0]))
        tensor([0.5000])
    """
    return 1 / (energy + _EPS)


def unit_of(values: Tensor) -> Tensor:
    """Return the median distance of each model as its unit, (S, N) -> (S, 1); 1 if it is 0.

    Args:
        values: Distances, such as squared distances to a centre, of N rows, by each of the S
            members (models) of a backbone, (S, N).

    Example:
        >>> unit_of(torch.tensor([[1.0, 3.0, 9.0], [0.0, 0.0, 1.0]]))
        tensor([[3.],
                [1.]])
    """
    middle = values.median(1, keepdim=True).values
    return torch.where(middle > 0, middle, 1.0)
