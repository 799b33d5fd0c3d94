"""Neural transformation learning: learned views of a row that an encoder can distinguish."""

import math

import torch
from torch import Tensor

from nbam_pyro.detection.backbones.base import Backbone, Energies
from nbam_pyro.detection.backbones.stacks import stacked_mlp
from nbam_pyro.errors import DataError

_TINY = 1e-24


class NeuralTransformations(Backbone):
    r"""Learned transformations T_k of a row x, and an encoder f that distinguishes the results.

    .. math::
        p_k = \frac{h(x_k, x)}{h(x_k, x) + \sum_{l \ne k} h(x_k, x_l)}, \qquad
        h(a, b) = \exp(\cos(f(a), f(b)) / \tau)

        E_n = -\frac{1}{\log K} \mathrm{mean}_k \log p_k, \qquad
        E_a = -\frac{1}{\log K} \mathrm{mean}_k \log(1 - p_k)

    The views of a row x are x_k = T_k(x), k = 1, ..., K. The number p_k is the probability that
    view k is matched with its row x instead of with another view. The clean energy E_n is low if
    each view is similar to the row and to no other view.

    Transformations have no biases. With biases, a view could be a constant, which the encoder
    distinguishes from the other views without using the row. The encoder has biases, unlike that of
    the source. Without biases, the energy of a row would not change if all its features were
    multiplied by a positive number c: E_n(c x) = E_n(x). A row with extremely large values would
    then look as normal as a row with usual values.

    Args:
        inputs: Number D of features of a row.
        members: Number S of models that are trained at once.
        transforms: Number K of transformations, at least 2.
        transform_width: Number of hidden units of each transformation, a residual network.
        width: Number of hidden units in each layer of the encoder.
        embedding: Number of outputs of the encoder.
        layers: Number of linear layers of the encoder.
        temperature: Temperature tau of the softmax.

    Raises:
        DataError: There are fewer than two transformations.

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
            raise DataError(f"transforms is {transforms}; give 2 or more.")
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
        similarity = cosines(z)[:, :, 1:] / self.temperature  # to x and to the views
        count = similarity.shape[2]
        own = torch.eye(count, dtype=torch.bool, device=x.device)
        among = similarity[..., 1:].where(~own, similarity[..., :1])  # x replaces the view itself
        log_p = among.log_softmax(-1)
        scale = math.log(count)
        right = log_p.diagonal(dim1=-2, dim2=-1)
        return Energies(-right.mean(-1) / scale, -log_not(log_p).mean(-1) / scale)


def cosines(z: Tensor) -> Tensor:
    """Return the cosines of all pairs of K vectors, (..., K, D) -> (..., K, K).

    The products are divided by the lengths. That takes fewer divisions than dividing the vectors.

    Args:
        z: Vectors, (..., K, D).

    Example:
        >>> cosines(torch.tensor([[3.0, 4.0], [0.0, 2.0]]))
        tensor([[1.0000, 0.8000],
                [0.8000, 1.0000]])
    """
    products = z @ z.transpose(-1, -2)
    # A vector of length 0 has a cosine of 0 to each other vector.
    inverse = products.diagonal(dim1=-2, dim2=-1).clamp(min=_TINY).rsqrt()
    return products * inverse[..., :, None] * inverse[..., None, :]


def log_not(log_p: Tensor) -> Tensor:
    """Return log(1 - p_k) for the probabilities p_k on a diagonal, (..., K, K) -> (..., K).

    1 - p_k is computed as the sum of the other probabilities, which does not lose precision.

    Args:
        log_p: Log probabilities that sum to 1 in the last dimension, (..., K, K).

    Example:
        >>> log_not(torch.tensor([[0.9, 0.1], [0.3, 0.7]]).log()).exp()
        tensor([0.1000, 0.3000])
    """
    own = torch.eye(log_p.shape[-1], dtype=torch.bool, device=log_p.device)
    return log_p.masked_fill(own, -math.inf).logsumexp(-1)
