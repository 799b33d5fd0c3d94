"""Deep SVDD, and with observed switches Deep SAD: normal rows near a centre, others far."""

import torch
from torch import Tensor

from nbam_pyro.detection.energies import Backbone, Energies
from nbam_pyro.detection.stacks import stacked_mlp

# A centre nearer to 0 could be reached by weights of 0.
_AWAY = 0.1
_EPS = 1e-6


class DeepSVDD(Backbone):
    r"""E_n is the squared distance d of the embedding to a centre, E_a = 1 / (d + 10^{-6}).

    The encoder has no biases, and the centre is the mean embedding before training, moved away
    from 0: so the constant embedding is no solution.

    With rows observed to be normal or anomalous, and `Blind` for the others, this is Deep SAD.

    Args:
        inputs: D, features of a row.
        members: S, models trained at once.
        width: hidden units.
        embedding: dimensions of the embedding.

    Source: Ruff et al. (2018, 2020).

    Example:
        >>> backbone, x = DeepSVDD(6), torch.randn(1, 4, 6)
        >>> backbone.start(x)
        >>> backbone.energies(x).clean.shape
        torch.Size([1, 4])
    """

    centre: Tensor

    def __init__(
        self, inputs: int, *, members: int = 1, width: int = 64, embedding: int = 32
    ) -> None:
        super().__init__(members)
        self.inputs, self.width, self.embedding = inputs, width, embedding
        self.encoder = stacked_mlp((members,), [inputs, width, width, embedding])
        self.register_buffer("centre", torch.zeros(members, 1, embedding))

    @torch.no_grad()
    def start(self, x: Tensor) -> None:
        self.centre.copy_(away_from_zero(self.encoder(x).mean(1, keepdim=True)))

    def energies(self, x: Tensor) -> Energies:
        distance = (self.encoder(x) - self.centre).square().sum(-1)
        return Energies(distance, inverse(distance))


def away_from_zero(centre: Tensor) -> Tensor:
    """A centre that weights of 0 do not reach.

    Example:
        >>> away_from_zero(torch.tensor([0.01, -0.5]))
        tensor([ 0.1000, -0.5000])
    """
    side = torch.where(centre < 0, -_AWAY, _AWAY)
    return torch.where(centre.abs() < _AWAY, side, centre)


def inverse(energy: Tensor) -> Tensor:
    """1 / (E + 10^-6): the energy of an anomaly where that of a normal row is a distance.

    Example:
        >>> inverse(torch.tensor([2.0]))
        tensor([0.5000])
    """
    return 1 / (energy + _EPS)
