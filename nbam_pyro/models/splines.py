"""`Splines`, smooth curves of the columns of a table for linear likelihoods."""

import torch
from torch import Tensor, nn

__all__ = ["Splines"]

# Quantiles at which a column has its knots.
_KNOTS = (0.05, 0.275, 0.5, 0.725, 0.95)


class Splines(nn.Module):
    r"""Natural cubic splines of the columns: linear columns first, then their curves.

    For knots :math:`k_1 < ... < k_5` of a column u, curve j is

    .. math:: d_j(u) - d_4(u), \qquad
              d_j(u) = \frac{(u - k_j)_+^3 - (u - k_5)_+^3}{k_5 - k_j}, \qquad j = 1, 2, 3.

    Outside the knots the curves are straight lines, so a row far from the others does not bend
    them. Each curve is centred, made orthogonal to its column, and scaled to standard deviation 1
    on the training rows. `Splines.of(h)` computes knots and scales from data.

    Args:
        features: Number D of columns.

    Source: Hastie, Tibshirani & Friedman (2009), section 5.2.1.

    Example:
        >>> h = torch.linspace(-1, 1, 50)[:, None]
        >>> Splines.of(h)(h).shape
        torch.Size([50, 4])
    """

    knots: Tensor
    offset: Tensor
    slope: Tensor
    scale: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.features = features
        curves = len(_KNOTS) - 2
        self.register_buffer(
            "knots", torch.linspace(0, 1, len(_KNOTS)).expand(features, -1).clone()
        )
        self.register_buffer("offset", torch.zeros(features, curves))
        self.register_buffer("slope", torch.zeros(features, curves))
        self.register_buffer("scale", torch.zeros(features, curves))

    @property
    def outputs(self) -> int:
        """Number of columns of the output: D linear columns and the curves."""
        return self.features + self.scale.numel()

    @classmethod
    def of(cls, h: Tensor) -> "Splines":
        """Return the splines for the columns of h, in their precision.

        A column with fewer than five different knots has no curves.

        Args:
            h: Features of the rows, (N, D).
        """
        layer = cls(h.shape[1]).to(h.dtype)
        layer.knots.copy_(h.quantile(torch.tensor(_KNOTS).to(h), dim=0).mT)
        distinct = (layer.knots.diff(dim=1) > 0).all(1)
        raw = layer._raw(h)
        middle = h.mean(0)
        slope = ((h - middle)[:, :, None] * raw).sum(0) / ((h - middle) ** 2).sum(0)[:, None]
        layer.slope.copy_(slope.nan_to_num(0.0))
        layer.offset.copy_((raw - layer.slope * h[:, :, None]).mean(0))
        spread = (raw - layer.slope * h[:, :, None]).std(0)
        usable = distinct[:, None] & (spread > 0)
        layer.scale.copy_(torch.where(usable, 1 / spread, 0.0))
        return layer

    def forward(self, h: Tensor) -> Tensor:
        curves = (self._raw(h) - self.slope * h[:, :, None] - self.offset) * self.scale
        return torch.cat([h, curves.flatten(1)], 1)

    def _raw(self, h: Tensor) -> Tensor:
        """Return the curves before they are centred and scaled, (N, D, 3)."""
        above = (h[:, :, None] - self.knots).clamp_min(0) ** 3
        lengths = (self.knots[:, -1:] - self.knots[:, :-1]).clamp_min(1e-12)
        parts = (above[..., :-1] - above[..., -1:]) / lengths
        return parts[..., :-1] - parts[..., -1:]
