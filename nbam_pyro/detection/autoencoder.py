"""The auto-encoder: an anomaly is what it reconstructs badly."""

from torch import Tensor

from nbam_pyro.detection.energies import Backbone, Energies
from nbam_pyro.detection.stacks import stacked_mlp
from nbam_pyro.detection.svdd import inverse


class AutoEncoder(Backbone):
    r"""E_n is the mean squared error of the reconstruction, E_a = 1 / (E_n + 10^{-6}).

    Args:
        inputs: D, features of a row.
        members: S, models trained at once.
        width: hidden units of encoder and decoder.
        embedding: dimensions of the code, fewer than D; None for D / 4.

    Example:
        >>> import torch
        >>> AutoEncoder(6).energies(torch.randn(1, 4, 6)).clean.shape
        torch.Size([1, 4])
    """

    def __init__(
        self, inputs: int, *, members: int = 1, width: int = 32, embedding: int | None = None
    ) -> None:
        super().__init__(members)
        self.inputs, self.width, self.embedding = inputs, width, embedding
        code = max(1, inputs // 4) if embedding is None else embedding
        self.encoder = stacked_mlp((members,), [inputs, width, code])
        self.decoder = stacked_mlp((members,), [code, width, inputs])

    def energies(self, x: Tensor) -> Energies:
        error = (self.decoder(self.encoder(x)) - x).square().mean(-1)
        return Energies(error, inverse(error))
