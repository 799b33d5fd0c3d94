"""Internal contrastive learning: windows of features are matched with the other features."""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from nbam_pyro.detection.backbones.base import Backbone, Energies
from nbam_pyro.detection.backbones.neural_transformations import log_not
from nbam_pyro.detection.backbones.stacks import stacked_mlp
from nbam_pyro.errors import DataError


class InternalContrast(Backbone):
    r"""An encoder f of windows a_k of consecutive features, and g of the other features b_k.

    .. math::
        p_k = \mathrm{softmax}_l\big(\cos(f(a_k), g(b_l)) / \tau\big)_{l = k}, \qquad
        E_n = -\mathrm{mean}_k \log p_k, \qquad E_a = -\mathrm{mean}_k \log(1 - p_k)

    The number p_k is the probability that window k is matched with the other features of the row
    that belong to it. The clean energy E_n is low if this works for each window of the row.

    Encoders have biases. Training does not map all windows to one constant, because the matches
    would then be at chance level.

    Args:
        inputs: Number D of features of a row, at least 3.
        members: Number S of models that are trained at once.
        window: Number of features in a window. None for the default: 2 for D up to 40 (but 1 for D
            = 3), 10 for D up to 160, and D - 150 for larger D.
        width: Number of hidden units in each layer of both encoders.
        embedding: Number of outputs of both encoders.
        temperature: Temperature tau of the softmax.

    Attributes:
        size: Number of features in a window.

    Raises:
        DataError: There are fewer than 3 features, or the window leaves no other feature.

    Source: Shenkar & Wolf (2022); E_a of Qiu et al. (2022).

    Example:
        >>> pair = InternalContrast(6).energies(torch.randn(1, 4, 6))
        >>> pair.anomalous.shape
        torch.Size([1, 4])
    """

    def __init__(
        self,
        inputs: int,
        *,
        members: int = 1,
        window: int | None = None,
        width: int = 64,
        embedding: int = 32,
        temperature: float = 0.1,
    ) -> None:
        super().__init__(members)
        if inputs < 3:
            raise DataError(f"X has {inputs} features; InternalContrast needs at least 3.")
        self.window = window
        self.size = size = _usual_window(inputs) if window is None else window
        if not 1 <= size <= inputs - 1:
            raise DataError(
                f"window is {size} and X has {inputs} features; give a window of 1 to {inputs - 1}."
            )
        self.inputs, self.width, self.embedding = inputs, width, embedding
        hidden = [width, width, embedding]
        self.inside = stacked_mlp((members,), [size, *hidden], bias=True)
        self.outside = stacked_mlp((members,), [inputs - size, *hidden], bias=True)
        self.temperature = temperature

    def energies(self, x: Tensor) -> Energies:
        count = x.shape[-1] - self.size + 1
        at = torch.arange(count, device=x.device)[:, None]
        column = torch.arange(x.shape[-1], device=x.device)
        within = (column >= at) & (column < at + self.size)  # (K, D)
        order = within.int().argsort(stable=True, dim=-1, descending=True)
        parts = x[..., order]  # (S, N, K, D), the window first
        f = self._embed(self.inside, parts[..., : self.size])
        g = self._embed(self.outside, parts[..., self.size :])
        log_p = (f @ g.transpose(-1, -2) / self.temperature).log_softmax(-1)
        own = log_p.diagonal(dim1=-2, dim2=-1)
        return Energies(-own.mean(-1), -log_not(log_p).mean(-1))

    @staticmethod
    def _embed(network: torch.nn.Module, parts: Tensor) -> Tensor:
        return normalize(network(parts.flatten(1, 2)), dim=-1).unflatten(1, parts.shape[1:3])


def _usual_window(inputs: int) -> int:
    if inputs <= 40:
        return min(2, inputs - 2)
    return 10 if inputs <= 160 else inputs - 150
