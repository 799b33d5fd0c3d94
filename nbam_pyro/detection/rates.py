"""Rates: which rates members are trained with, and how their energies become scores."""

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from nbam_pyro.detection.assignments import Assignment
from nbam_pyro.detection.backbones.base import Energies
from nbam_pyro.detection.rate_estimates import estimate_rate
from nbam_pyro.detection.scores import mean_of_members, shares_below

__all__ = ["CANDIDATES", "AgreedRate", "GivenRate", "LearnedRate", "Rate", "rate_of"]

# The rates that members are trained with if the share of anomalies is unknown.
CANDIDATES = (0.05, 0.1, 0.15, 0.2, 0.3)
# The rate at which learning starts.
_START = 0.1
# If no rate can be estimated, scores are averaged over members with at most this rate.
_TRUSTED = 0.1


class Rate(ABC):
    """The base class of ways to choose rates, the shares of anomalies that training assumes.

    The user gives the rate, or it is learned with the networks, or it is estimated from several
    trained networks. These networks are the members of a detector.

    Attributes:
        learned: Whether the rate is learned by gradient descent, together with the weights of the
            networks.
    """

    learned: ClassVar[bool]

    @abstractmethod
    def training_rates(self, members: int) -> np.ndarray:
        """Return the rate that each member is trained with, (S,).

        If the rate is learned, this is the value at which learning starts.

        Args:
            members: Value of the detector's setting `members`. If members are trained with
                different rates, it is the number of members for each rate.
        """

    @abstractmethod
    def ranking(self, energies: Energies, rates: np.ndarray, verified: Tensor) -> Tensor:
        """Return the indices of the members that compute scores as ranks, (K,).

        Args:
            energies: Clean and anomaly energies of the N training rows by each of the S members
                (models): two arrays of shape (S, N).
            rates: Share of anomalies that each member assumed in training, (S,).
            verified: Integer codes of the training rows, (N,): 1 for a verified anomaly, 0 for a
                verified normal row, -1 where nothing is verified.

        Returns:
            Indices of the members. The score of a row is then its rank, the share of training rows
            with a lower clean energy, averaged over these members. If there are none, scores are
            means of clean energies.
        """

    @abstractmethod
    def shape(self, clean: Tensor, ranking: Tensor) -> np.ndarray:
        """Return a value for each training row that is high for anomalous rows, (N,).

        Ranks are spread evenly. These values also show how far apart rows are.

        Args:
            clean: Clean energies of the N training rows by each of the S members, (S, N).
            ranking: Indices of the members that the method `ranking` returned, (K,).
        """

    @abstractmethod
    def scores(self, clean: Tensor, reference: Tensor, ranking: Tensor) -> np.ndarray:
        """Return the scores of rows, (M,).

        Args:
            clean: Clean energies of M rows by each of the S members (models), (S, M).
            reference: Clean energies of the N training rows by each member in `ranking`, (K, N),
                sorted from low to high.
            ranking: Indices of the members that the method `ranking` returned, (K,).
        """


class _OneRate(Rate):
    """All members are trained with the same rate. Therefore their energies can be averaged."""

    def ranking(self, energies: Energies, rates: np.ndarray, verified: Tensor) -> Tensor:
        return torch.arange(0)

    def shape(self, clean: Tensor, ranking: Tensor) -> np.ndarray:
        return mean_of_members(clean.numpy())

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


class LearnedRate(_OneRate):
    """The rate is learned together with the weights of the networks.

    This needs an assignment that computes posteriors, such as `Exact`. The energies must be
    negative log densities.

    Example:
        >>> LearnedRate().training_rates(2)  # where learning starts
        array([0.1, 0.1])
    """

    learned = True

    def training_rates(self, members: int) -> np.ndarray:
        return np.repeat(_START, members)


class AgreedRate(Rate):
    """Members are trained with different rates; scores use those with the best agreement.

    The energies of members with different rates are not comparable. Therefore the score of a row is
    the share of training rows with a lower clean energy. It is averaged over the members that were
    trained with the rate at which members agree (`estimate_rate`). If there is no such rate, it is
    averaged over the members with a rate of at most 0.1.

    Example:
        >>> rates = AgreedRate().training_rates(2)
        >>> rates
        array([0.05, 0.05, 0.1 , 0.1 , 0.15, 0.15, 0.2 , 0.2 , 0.3 , 0.3 ])
        >>> same = torch.zeros(10, 20)  # no rate is better than the others
        >>> AgreedRate().ranking(Energies(same, same), rates, torch.full((20,), -1))
        tensor([0, 1, 2, 3])
    """

    learned = False

    def training_rates(self, members: int) -> np.ndarray:
        return np.repeat(CANDIDATES, max(2, members))

    def ranking(self, energies: Energies, rates: np.ndarray, verified: Tensor) -> Tensor:
        share = estimate_rate(energies, rates, verified).rate
        return torch.as_tensor(np.flatnonzero(rates == share if share else rates <= _TRUSTED))

    def shape(self, clean: Tensor, ranking: Tensor) -> np.ndarray:
        # Energies of members have different units.
        chosen = clean[ranking].numpy()
        low, middle = np.quantile(chosen, [0.1, 0.5], axis=1)[..., None]
        return mean_of_members((chosen - middle) / np.where(middle > low, middle - low, 1.0))

    def scores(self, clean: Tensor, reference: Tensor, ranking: Tensor) -> np.ndarray:
        return mean_of_members(shares_below(reference, clean[ranking]))


def rate_of(contamination: float | Literal["auto"], assignment: Assignment) -> Rate:
    """Return the `Rate` object for the settings of a detector.

    If `contamination` is "auto", the assignment decides how the share of anomalies is found:

    * An assignment that needs densities, such as `Exact`, learns it together with the weights of
      the networks (`LearnedRate`).
    * For other assignments, networks with different initial weights are trained with several rates.
      The share of anomalies is the rate at which these networks agree most on which rows are
      anomalies (`AgreedRate`).

    Args:
        contamination: Share of anomalies among the training rows, or "auto" to find it from the
            training rows.
        assignment: Rule by which training decides which rows are anomalies.

    Example:
        >>> from nbam_pyro.detection.assignments import Exact, Soft
        >>> rate_of("auto", Exact()), rate_of("auto", Soft())
        (<...LearnedRate object at ...>, <...AgreedRate object at ...>)
    """
    if contamination != "auto":
        return GivenRate(contamination)
    return LearnedRate() if assignment.normalised_only else AgreedRate()
