"""The auto-encoder: an anomaly is what it reconstructs badly."""

import numpy as np
import torch
from torch import Tensor

from nbam_pyro.detection.backbones.base import Backbone, Energies, complement, unit_of
from nbam_pyro.detection.scaling import MIDDLE, Range
from nbam_pyro.detection.backbones.stacks import stacked_mlp

# Of the squared deviations from the median: a row is as anomalous as normal at log 2 of that.
_FAR = 6.0


class AutoEncoder(Backbone):
    r"""E_n is the squared error of the reconstruction, E_a = -log(1 - e^{-E_n}).

    .. math::
        E_n(x) = \mathrm{mean}_j \big(x_j - m_j - w_j \tanh g_j(f(x))\big)^2 / u

    with an encoder f and a decoder g that have biases. The middle m_j and the width w_j are those
    of the training rows, without wild values: a reconstruction is never further than w_j from the
    middle, so that rows far from all others cannot be reconstructed. A row whose category is new
    looks usual until the known categories are learned: with few rows and many categories, train
    for more epochs.

    The unit of E_n is six times what rows differ from the median row, in the median: errors have
    the features' units, and a pair of energies must not.

    Args:
        inputs: D, features of a row.
        members: S, models trained at once.
        width: hidden units of encoder and decoder.
        embedding: dimensions of the code, fewer than D; None for D / 2 up to D = 16, 8 up to
            D = 32, and D / 4 beyond; 2 for D = 3.

    Example:
        >>> backbone, x = AutoEncoder(6), torch.randn(1, 4, 6)
        >>> backbone.start(x)
        >>> backbone.energies(x).clean.shape
        torch.Size([1, 4])
    """

    unit: Tensor
    middle: Tensor
    span: Tensor

    def __init__(
        self, inputs: int, *, members: int = 1, width: int = 32, embedding: int | None = None
    ) -> None:
        super().__init__(members)
        self.inputs, self.width, self.embedding = inputs, width, embedding
        code = _usual_code(inputs) if embedding is None else embedding
        self.encoder = stacked_mlp((members,), [inputs, width, code], bias=True)
        self.decoder = stacked_mlp((members,), [code, width, inputs], bias=True)
        self.register_buffer("middle", torch.zeros(members, 1, inputs))
        self.register_buffer("span", torch.ones(members, 1, inputs))
        self.register_buffer("unit", torch.ones(members, 1))

    def start(self, x: Tensor) -> None:
        ranges = [Range.of(member.cpu().numpy()) for member in x]
        middles = [one.centre + one.low + MIDDLE * one.width for one in ranges]
        self.middle.copy_(torch.as_tensor(np.stack(middles)[:, None]))
        self.span.copy_(torch.as_tensor(np.stack([one.width for one in ranges])[:, None]))
        median = x.median(1, keepdim=True).values
        self.unit.copy_(_FAR * unit_of((x - median).square().mean(-1)))

    def energies(self, x: Tensor) -> Energies:
        again = self.middle + self.span * self.decoder(self.encoder(x)).tanh()
        error = (again - x).square().mean(-1) / self.unit
        return Energies(error, complement(error))


def _usual_code(inputs: int) -> int:
    return max(1, min(2, inputs - 1), min(inputs // 2, 8), inputs // 4)
