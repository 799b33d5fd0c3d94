"""The auto-encoder: an anomaly is what it reconstructs badly."""

import torch
from torch import Tensor

from nbam_pyro.detection.energies import Backbone, Energies, complement, unit_of
from nbam_pyro.detection.stacks import stacked_mlp

# Of the squared deviations from the median: a row is as anomalous as normal at log 2 of that.
_FAR = 6.0


class AutoEncoder(Backbone):
    r"""E_n is the squared error of the reconstruction, E_a = -log(1 - e^{-E_n}).

    The unit of E_n is six times what rows differ from the median row, in the median: errors have
    the features' units, and a pair of energies must not.

    Args:
        inputs: D, features of a row.
        members: S, models trained at once.
        width: hidden units of encoder and decoder.
        embedding: dimensions of the code, fewer than D; None for D / 4.

    Example:
        >>> backbone, x = AutoEncoder(6), torch.randn(1, 4, 6)
        >>> backbone.start(x)
        >>> backbone.energies(x).clean.shape
        torch.Size([1, 4])
    """

    unit: Tensor

    def __init__(
        self, inputs: int, *, members: int = 1, width: int = 32, embedding: int | None = None
    ) -> None:
        super().__init__(members)
        self.inputs, self.width, self.embedding = inputs, width, embedding
        code = max(1, inputs // 4) if embedding is None else embedding
        self.encoder = stacked_mlp((members,), [inputs, width, code])
        self.decoder = stacked_mlp((members,), [code, width, inputs])
        self.register_buffer("unit", torch.ones(members, 1))

    def start(self, x: Tensor) -> None:
        middle = x.median(1, keepdim=True).values
        self.unit.copy_(_FAR * unit_of((x - middle).square().mean(-1)))

    def energies(self, x: Tensor) -> Energies:
        error = (self.decoder(self.encoder(x)) - x).square().mean(-1) / self.unit
        return Energies(error, complement(error))
