"""Rates: how a detector gets the share of anomalies, and how it scores rows."""

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from nbam_pyro.detection.assignments import Assignment
from nbam_pyro.detection.backbones.base import Energies
from nbam_pyro.detection.rate_estimates import RateEstimate, estimate_rate, likely_rate
from nbam_pyro.detection.scores import mean_of_members, shares_below

__all__ = ["CANDIDATES", "AgreedRate", "GivenRate", "LearnedRate", "Rate", "rate_of"]

# The rates that members are trained with where the rate is unknown.
CANDIDATES = (0.05, 0.1, 0.15, 0.2, 0.3)
# The rate at which learning starts.
_START = 0.1
# If no rate can be estimated, scores are averaged over members with at most this rate.
_TRUSTED = 0.1


class Rate(ABC):
    """The base class of the ways in which a detector gets the share of anomalies.

    Attributes:
        learned: Whether the rate is learned by gradient descent, together with the weights.
    """

    learned: ClassVar[bool]

    @abstractmethod
    def training_rates(self, members: int) -> np.ndarray:
        """Return the rate that each member is trained with, or at which learning starts, (S,).

        Args:
            members: Number of members in the settings. If members are trained with different rates,
                it is the number for each rate.
        """

    @abstractmethod
    def found(
        self, energies: Energies, rates: np.ndarray, verified: Tensor
    ) -> tuple[float, RateEstimate | None]:
        """Return the share of anomalies after training, and its estimate with an interval.

        Args:
            energies: Energies of the training rows by member, (S, N) each.
            rates: Rate of each member, (S,).
            verified: Integer codes of the training rows, (N,): 1, 0, or -1 where unknown.

        Returns:
            The share, and its estimate. The estimate is None if the share was given.
        """

    @abstractmethod
    def ranking(self, rates: np.ndarray, share: float) -> Tensor:
        """Return the members that compare rows with the training rows by rank, (K,) integers.

        Args:
            rates: Rate of each member, (S,).
            share: Share of anomalies after training.

        Returns:
            Numbers of the members. It is empty if scores are means of energies.
        """

    @abstractmethod
    def scores(self, clean: Tensor, reference: Tensor, ranking: Tensor) -> np.ndarray:
        """Return the scores of rows, (M,).

        Args:
            clean: Clean energies of the rows by member, (S, M).
            reference: Clean energies of the training rows for each member in `ranking`, (K, N),
                sorted from low to high.
            ranking: Numbers of the members from `ranking`, (K,).
        """


class _OneRate(Rate):
    """All members have the same rate. Therefore their energies can be averaged."""

    def ranking(self, rates: np.ndarray, share: float) -> Tensor:
        return torch.arange(0)

    def scores(self, clean: Tensor, reference: Tensor, ranking: Tensor) -> np.ndarray:
        return mean_of_members(clean.numpy())


class GivenRate(_OneRate):
    """The user gives the share of anomalies.

    Args:
        rate: Share of anomalies, from 0 to one half.

    Example:
        >>> GivenRate(0.2).training_rates(3)
        array([0.2, 0.2, 0.2])
    """

    learned = False

    def __init__(self, rate: float) -> None:
        self.rate = rate

    def training_rates(self, members: int) -> np.ndarray:
        return np.repeat(self.rate, members)

    def found(
        self, energies: Energies, rates: np.ndarray, verified: Tensor
    ) -> tuple[float, RateEstimate | None]:
        return float(self.rate), None


class LearnedRate(_OneRate):
    """The rate is learned with the weights. Energies must be negative log densities.

    Example:
        >>> LearnedRate().training_rates(2)  # where learning starts
        array([0.1, 0.1])
    """

    learned = True

    def training_rates(self, members: int) -> np.ndarray:
        return np.repeat(_START, members)

    def found(
        self, energies: Energies, rates: np.ndarray, verified: Tensor
    ) -> tuple[float, RateEstimate | None]:
        estimate = likely_rate(energies, verified)
        return estimate.rate, estimate


class AgreedRate(Rate):
    """Members are trained with different rates; the share is the rate at which they agree.

    The energies of members with different rates are not comparable. Therefore the score of a row is
    the share of training rows with a lower clean energy. It is averaged over the members that were
    trained with the estimated share. If no share can be estimated, it is averaged over the members
    with a rate of at most 0.1.

    Example:
        >>> rates = AgreedRate().training_rates(2)
        >>> rates
        array([0.05, 0.05, 0.1 , 0.1 , 0.15, 0.15, 0.2 , 0.2 , 0.3 , 0.3 ])
        >>> AgreedRate().ranking(rates, 0.2)
        tensor([6, 7])
        >>> AgreedRate().ranking(rates, 0.0)  # no share was estimated
        tensor([0, 1, 2, 3])
    """

    learned = False

    def training_rates(self, members: int) -> np.ndarray:
        return np.repeat(CANDIDATES, max(2, members))

    def found(
        self, energies: Energies, rates: np.ndarray, verified: Tensor
    ) -> tuple[float, RateEstimate | None]:
        estimate = estimate_rate(energies, rates, verified)
        return estimate.rate, estimate

    def ranking(self, rates: np.ndarray, share: float) -> Tensor:
        return torch.as_tensor(np.flatnonzero(rates == share if share else rates <= _TRUSTED))

    def scores(self, clean: Tensor, reference: Tensor, ranking: Tensor) -> np.ndarray:
        return mean_of_members(shares_below(reference, clean[ranking]))


def rate_of(contamination: float | Literal["auto"], assignment: Assignment) -> Rate:
    """Return the `Rate` object for the settings of a detector.

    Args:
        contamination: Share of anomalies, or "auto".
        assignment: Assignment of the switches. With "auto", the rate is learned if the assignment
            needs densities. Otherwise it is the rate at which members agree.

    Example:
        >>> from nbam_pyro.detection.assignments import Exact, Soft
        >>> rate_of("auto", Exact()), rate_of("auto", Soft())
        (<...LearnedRate object at ...>, <...AgreedRate object at ...>)
    """
    if contamination != "auto":
        return GivenRate(contamination)
    return LearnedRate() if assignment.normalised_only else AgreedRate()
