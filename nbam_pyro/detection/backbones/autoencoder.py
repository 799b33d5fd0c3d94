"""The auto-encoder: anomalies are rows that it reconstructs badly."""

import numpy as np
import torch
from torch import Tensor

from nbam_pyro.detection.backbones.base import Backbone, Energies, complement, unit_of
from nbam_pyro.detection.backbones.stacks import stacked_mlp
from nbam_pyro.detection.scaling import MIDDLE, Range

# The unit, in median squared deviations from the median row. Both energies of a row are equal where
# its error is log 2 of the unit.
_FAR = 6.0


class AutoEncoder(Backbone):
    r"""E_n is the squared error of the reconstruction, E_a = -log(1 - e^{-E_n}).

    .. math::
        E_n(x) = \mathrm{mean}_j \big(x_j - m_j - w_j \tanh g_j(f(x))\big)^2 / u

    Here E_n is the clean energy of a row x, which is low if the row looks normal, and E_a its
    anomaly energy, which is low if it looks like an anomaly. The encoder f and the decoder g have
    biases. The middle m_j and the width w_j of each feature come from the training rows without
    wild values. A reconstruction is never further than w_j from the middle. Therefore rows far from
    all others cannot be reconstructed.

    A row with a new category looks normal until the network has learned the known categories. With
    few rows and many categories, train for more epochs.

    The unit u is six times the median, over rows, of the squared deviation from the median row.
    Dividing by it makes the energies independent of the units of the features.

    Args:
        inputs: Number D of features of a row.
        members: Number S of models that are trained at once.
        width: Number of hidden units of the encoder and of the decoder.
        embedding: Number of dimensions of the code, fewer than D. None for the default: D / 2 for D
            up to 16 (but 2 for D = 3), 8 for D up to 32, and D / 4 for larger D.

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
