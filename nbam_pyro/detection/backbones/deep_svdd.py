"""Deep SVDD, and with verified rows Deep SAD: normal rows lie near a centre, anomalies far."""

from typing import Literal

import torch
from torch import Tensor

from nbam_pyro.detection.backbones.base import Backbone, Energies, complement, inverse, unit_of
from nbam_pyro.detection.backbones.stacks import stacked_mlp
from nbam_pyro.errors import DataError

# Weights of 0 would reach a centre that is nearer to 0.
_AWAY = 0.1


class DeepSVDD(Backbone):
    r"""E_n is the squared distance d of the embedding to a centre, E_a = -log(1 - e^{-d}).

    Here E_n is the clean energy of a row, which is low if the row looks normal, and E_a its anomaly
    energy, which is low if it looks like an anomaly. The encoder has no biases. The centre is the
    mean embedding before training, moved away from 0. Therefore a constant embedding is not a
    solution. The distance d is divided by its median before training.

    With verified rows, and `Blind` for the others, this is Deep SAD. With `far="inverse"` it is
    Deep SAD as published: E_a = 1 / (d + 10^{-6}), and d is not divided.

    Args:
        inputs: Number D of features of a row.
        members: Number S of models that are trained at once.
        width: Number of hidden units in each layer.
        embedding: Number of dimensions of the embedding.
        far: Form of the anomaly energy: "complement" for -log(1 - e^{-d}), or "inverse" for
            1 / (d + 10^{-6}). With "inverse", training moves anomalies near the centre away much
            more strongly.

    Raises:
        DataError: `far` is neither "complement" nor "inverse".

    Source: Ruff et al. (2018, 2020); the complement, Ruff et al. (2021).

    Example:
        >>> backbone, x = DeepSVDD(6), torch.randn(1, 4, 6)
        >>> backbone.start(x)
        >>> backbone.energies(x).clean.shape
        torch.Size([1, 4])
    """

    centre: Tensor
    unit: Tensor

    def __init__(
        self,
        inputs: int,
        *,
        members: int = 1,
        width: int = 64,
        embedding: int = 32,
        far: Literal["complement", "inverse"] = "complement",
    ) -> None:
        super().__init__(members)
        if far not in ("complement", "inverse"):
            raise DataError(f"far is {far!r}; give 'complement' or 'inverse'.")
        self.inputs, self.width, self.embedding, self.far = inputs, width, embedding, far
        self.encoder = stacked_mlp((members,), [inputs, width, width, embedding])
        self.register_buffer("centre", torch.zeros(members, 1, embedding))
        self.register_buffer("unit", torch.ones(members, 1))

    @torch.no_grad()
    def start(self, x: Tensor) -> None:
        z = self.encoder(x)
        self.centre.copy_(away_from_zero(z.mean(1, keepdim=True)))
        if self.far == "complement":
            self.unit.copy_(unit_of((z - self.centre).square().sum(-1)))

    def energies(self, x: Tensor) -> Energies:
        distance = (self.encoder(x) - self.centre).square().sum(-1) / self.unit
        other = complement(distance) if self.far == "complement" else inverse(distance)
        return Energies(distance, other)


def away_from_zero(centre: Tensor) -> Tensor:
    """Return a centre that is not 0, the output of an encoder whose weights are all 0.

    Args:
        centre: Any centre. Coordinates nearer to 0 than 0.1 are moved to 0.1 or -0.1.

    Example:
        >>> away_from_zero(torch.tensor([0.01, -0.5]))
        tensor([ 0.1000, -0.5000])
    """
    side = torch.where(centre < 0, -_AWAY, _AWAY)
    return torch.where(centre.abs() < _AWAY, side, centre)
