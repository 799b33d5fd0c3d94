"""`Standardise`, a first layer that brings the columns of a table to unit scale."""

import numpy as np
import torch
from torch import Tensor, nn

from nbam_pyro.checks.spacing import all_equal, blocks, middles
from nbam_pyro.checks.wild import column_limits

__all__ = ["Standardise"]


class Standardise(nn.Module):
    r"""A first layer that scales the columns of a table to mean 0 and standard deviation 1.

    .. math:: h_j = \big(\min(\max(x_j, l_j), u_j) - c_j - m_j\big) / s_j

    c is the median of column j. m and s are the mean and the standard deviation of the differences
    x - c, because columns far from 0 then keep their digits. *Wild values* lie extremely far from
    the rest of their column. They are not used to compute m and s. The limits l and u replace wild
    values by a number just outside the range of the other values (see `nbam_pyro.checks.wild`). A
    column without wild values is not limited.

    `Standardise.of(x)` computes these numbers from data. The constructor returns a layer that does
    not change x; saved numbers can be loaded into it.

    Args:
        features: Number of columns of x.

    Example:
        >>> import torch
        >>> x = torch.tensor([[1.0, 5.0], [3.0, 5.0]])
        >>> Standardise.of(x)(x)
        tensor([[-1.,  0.],
                [ 1.,  0.]])
    """

    centre: Tensor
    mean: Tensor
    scale: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.features = features
        self.register_buffer("centre", torch.zeros(features))
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))
        largest = torch.finfo(self.scale.dtype).max  # a saved fit may hold finite numbers only
        self.register_buffer("low", torch.full((features,), -largest))
        self.register_buffer("high", torch.full((features,), largest))

    @classmethod
    def of(cls, x: Tensor) -> "Standardise":
        """Return the layer for the columns of x, in the precision of x.

        A column in which all values are equal becomes 0.

        Args:
            x: Rows of a table, (N, features).
        """
        layer = cls(x.shape[1]).to(x.dtype if x.is_floating_point() else torch.float64)
        table = x.detach().cpu().numpy()
        limits = column_limits(table)
        for block in blocks(table):
            part = table[:, block].astype(np.float64, copy=False)
            centre = middles(part)  # a value of the column, so that differences are exact
            low, high = (limit[block] for limit in limits)
            rest = np.where((part < low) | (part > high), np.nan, part - centre)
            scale = np.where(all_equal(table[:, block]), 1.0, np.nanstd(rest, 0))
            scale[scale == 0] = 1.0  # all values but the wild ones are equal
            mean = np.nanmean(rest, 0)
            for name, values in (("centre", centre), ("mean", mean), ("scale", scale)):
                getattr(layer, name)[block] = torch.as_tensor(values)
        largest = torch.finfo(layer.low.dtype).max
        layer.low.copy_(torch.as_tensor(limits[0]).clamp(min=-largest))
        layer.high.copy_(torch.as_tensor(limits[1]).clamp(max=largest))
        return layer

    def forward(self, x: Tensor) -> Tensor:
        return (x.clamp(self.low, self.high) - self.centre - self.mean) / self.scale
