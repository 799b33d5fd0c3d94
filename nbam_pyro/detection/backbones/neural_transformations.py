"""Neural transformation learning: transformations that keep a row recognisable, and apart."""

import math

import torch
from torch import Tensor

from nbam_pyro.detection.backbones.base import Backbone, Energies
from nbam_pyro.detection.backbones.stacks import stacked_mlp
from nbam_pyro.errors import DataError

_TINY = 1e-24


class NeuralTransformations(Backbone):
    r"""K learned transformations x_k = T_k(x) and an encoder f that tells them from each other.

    .. math::
        p_k = \frac{h(x_k, x)}{h(x_k, x) + \sum_{l \ne k} h(x_k, x_l)}, \qquad
        h(a, b) = \exp(\cos(f(a), f(b)) / \tau)

        E_n = -\frac{1}{\log K} \mathrm{mean}_k \log p_k, \qquad
        E_a = -\frac{1}{\log K} \mathrm{mean}_k \log(1 - p_k)

    Transformations have no biases: views that are constants would be told apart without a look at
    the row. The encoder has them, unlike that of the source: without any bias E_n(c x) = E_n(x) for
    c > 0, and a row of extreme size is as normal as one of the usual size.

    Args:
        inputs: D, features of a row.
        members: S, models trained at once.
        transforms: K, at least 2.
        transform_width: hidden units of each T_k, a residual network.
        width: hidden units of the encoder.
        embedding: dimensions of f.
        layers: of the encoder.
        temperature: tau.

    Raises:
        DataError: there are fewer than two transformations.

    Source: Qiu et al. (2021, 2022).

    Example:
        >>> pair = NeuralTransformations(6).energies(torch.randn(1, 4, 6))
        >>> pair.clean.shape
        torch.Size([1, 4])
    """

    def __init__(
        self,
        inputs: int,
        *,
        members: int = 1,
        transforms: int = 9,
        transform_width: int = 24,
        width: int = 24,
        embedding: int = 24,
        layers: int = 4,
        temperature: float = 0.1,
    ) -> None:
        super().__init__(members)
        if transforms < 2:
            raise DataError(f"transforms is {transforms}; two at least can be told apart.")
        self.inputs, self.transforms, self.transform_width = inputs, transforms, transform_width
        self.width, self.embedding, self.layers = width, embedding, layers
        self.views = stacked_mlp((members, transforms), [inputs, transform_width, inputs])
        widths = [inputs, *[width] * (layers - 1), embedding]
        self.encoder = stacked_mlp((members,), widths, bias=True)
        self.temperature = temperature

    def energies(self, x: Tensor) -> Energies:
        views = self.views(x[:, None]) + x[:, None]  # (S, K, N, D)
        both = torch.cat([x[:, None], views], 1).transpose(1, 2)  # (S, N, 1 + K, D)
        z = self.encoder(both.flatten(1, 2)).unflatten(1, both.shape[1:3])
        similarity = cosines(z)[:, :, 1:] / self.temperature  # to x, and to views
        count = similarity.shape[2]
        own = torch.eye(count, dtype=torch.bool, device=x.device)
        among = similarity[..., 1:].where(~own, similarity[..., :1])  # x in the place of itself
        log_p = among.log_softmax(-1)
        scale = math.log(count)
        right = log_p.diagonal(dim1=-2, dim2=-1)
        return Energies(-right.mean(-1) / scale, -log_not(log_p).mean(-1) / scale)


def cosines(z: Tensor) -> Tensor:
    """Cosines of all pairs of K vectors, (..., K, D) -> (..., K, K).

    Products are divided by lengths, not vectors: there are fewer of them.

    Example:
        >>> cosines(torch.tensor([[3.0, 4.0], [0.0, 2.0]]))
        tensor([[1.0000, 0.8000],
                [0.8000, 1.0000]])
    """
    products = z @ z.transpose(-1, -2)
    # A vector of no length has a cosine of 0 to everything.
    inverse = products.diagonal(dim1=-2, dim2=-1).clamp(min=_TINY).rsqrt()
    return products * inverse[..., :, None] * inverse[..., None, :]


def log_not(log_p: Tensor) -> Tensor:
    """log(1 - p_k) of the diagonal of log probabilities (..., K, K), as a sum of the others.

    Example:
        >>> log_not(torch.tensor([[0.9, 0.1], [0.3, 0.7]]).log()).exp()
        tensor([0.1000, 0.3000])
    """
    own = torch.eye(log_p.shape[-1], dtype=torch.bool, device=log_p.device)
    return log_p.masked_fill(own, -math.inf).logsumexp(-1)
