"""`FourierFeatures`, a Gaussian process of a few columns as features of a linear likelihood."""

import math

import torch
from torch import Tensor, nn

__all__ = ["FourierFeatures"]


class FourierFeatures(nn.Module):
    r"""The columns of a table and random cosine waves of them: an approximate Gaussian process.

    .. math:: h_j = \sqrt{2 / m} \cos(\omega_j \cdot u / \ell + \phi_j), \qquad
              \omega_j \sim N(0, I), \quad \phi_j \sim U(0, 2 \pi)

    A linear function of these features with independent Normal weights is approximately a draw from
    a Gaussian process with the squared-exponential kernel of length :math:`\ell`. Waves depend on
    several columns together, so that interactions of columns are possible.

    Args:
        features: Number D of columns u, in units of their standard deviation.
        waves: Number m of waves.
        length: Length of the kernel, positive.
        amplitude: Factor of the waves, positive. The standard deviation of the process is the
            standard deviation of the weights times this factor.
        seed: Seed of frequencies and phases.

    Source: Rahimi & Recht (2007).

    Example:
        >>> FourierFeatures(2, waves=30)(torch.zeros(5, 2)).shape
        torch.Size([5, 32])
    """

    frequencies: Tensor
    phases: Tensor

    def __init__(
        self,
        features: int,
        *,
        waves: int = 40,
        length: float = 1.0,
        amplitude: float = 1.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.features = features
        self.waves = waves
        self.length = length
        self.amplitude = amplitude
        self.seed = seed
        generator = torch.Generator().manual_seed(seed)
        frequencies = torch.randn(features, waves, generator=generator) / length
        self.register_buffer("frequencies", frequencies)
        self.register_buffer("phases", 2 * math.pi * torch.rand(waves, generator=generator))

    @property
    def outputs(self) -> int:
        """Number of columns of the output, D + m."""
        return self.features + self.waves

    def forward(self, h: Tensor) -> Tensor:
        waves = (h @ self.frequencies + self.phases).cos()
        return torch.cat([h, self.amplitude * math.sqrt(2 / self.waves) * waves], 1)
