"""`FeatureDensity`: the density of a row's features if they are right, and if they are wrong."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pyro.distributions as dist
import torch
from pyro.distributions import TorchDistribution
from torch import Tensor

from nbam_pyro.models.latents import Latents

__all__ = ["RIGHT_DF", "FeatureDensity"]

RIGHT_DF = 3.0
"""Degrees of freedom of right features."""

_WRONG_DF = 1.0
# Prior standard deviations of centre (in units), of the log of the spread, and of correlations.
_CENTRE, _SPREAD, _MIXING = 1.0, 0.5, 1.0


@dataclass(frozen=True, kw_only=True)
class FeatureDensity:
    r"""The density of right features h and of wrong ones, in `FeatureErrors`.

    .. math::
        h \sim \mathrm{StudentT}_3(c, \Sigma) \text{ if right}, \qquad
        h \sim \mathrm{StudentT}_1(c_0, (B s_0)^2 I) \text{ if wrong}

    The global latents are "centre" (c), "spread" and "mixing". Sigma = (S U)(S U)', where S is
    diagonal with the spreads, and U is lower triangular with a diagonal of 1 and the numbers
    "mixing" below it.

    Attributes:
        middle: Robust centre c_0 of each column of h, D numbers.
        unit: Robust scale s_0 of each column, D positive numbers.
        breadth: Scale B of wrong features, in units of the scale of the columns.
    """

    middle: Sequence[float]
    unit: Sequence[float]
    breadth: float

    @property
    def columns(self) -> int:
        """Number D of columns of h."""
        return len(self.unit)

    def priors(self, like: Tensor) -> dict[str, TorchDistribution]:
        """Return the priors of the global latents by site name.

        Args:
            like: Scalar whose precision and device the priors have.
        """
        count = self.columns
        middle, unit = like.new_tensor(self.middle), like.new_tensor(self.unit)
        spread = like.new_tensor(_SPREAD)
        sites: dict[str, TorchDistribution] = {
            "centre": dist.Normal(middle, _CENTRE * unit, validate_args=False).to_event(1),
            "spread": dist.LogNormal(unit.log(), spread, validate_args=False).to_event(1),
        }
        if count > 1:
            mixing = like.new_zeros(()).expand(count * (count - 1) // 2)
            normal = dist.Normal(mixing, like.new_tensor(_MIXING), validate_args=False)
            sites["mixing"] = normal.to_event(1)
        return sites

    def log_probs(self, h: Tensor, latents: Latents) -> tuple[Tensor, Tensor]:
        """Return the log density of right and of wrong features, two tensors (N,).

        Args:
            h: Features, (N, D).
            latents: Values of the global latents by site name.
        """
        offset = h - latents["centre"]
        white = torch.linalg.solve_triangular(self.root(latents), offset.mT, upper=False).mT
        log_det = latents["spread"].log().sum()
        right = _log_student(white.square().sum(-1), log_det, self.columns, df=RIGHT_DF)
        unit = h.new_tensor(self.unit) * self.breadth
        far = ((h - h.new_tensor(self.middle)) / unit).square().sum(-1)
        return right, _log_student(far, unit.log().sum(), self.columns, df=_WRONG_DF)

    def root(self, latents: Latents) -> Tensor:
        """Return the lower triangular root of Sigma, (D, D).

        Args:
            latents: Values of the global latents by site name.
        """
        spread = latents["spread"]
        if self.columns == 1:
            return spread[:, None]
        unit = torch.eye(self.columns, dtype=spread.dtype, device=spread.device)
        row, column = torch.tril_indices(self.columns, self.columns, -1)
        place = torch.zeros(len(row), self.columns**2, dtype=spread.dtype, device=spread.device)
        place[torch.arange(len(row)), row * self.columns + column] = 1.0
        below = (latents["mixing"] @ place).reshape(self.columns, self.columns)
        return spread[:, None] * (unit + below)


def _log_student(squared: Tensor, log_det: Tensor, columns: int, *, df: float) -> Tensor:
    """Return the log density of a Student-t distribution of several columns, (N,).

    Args:
        squared: Squared distance from the centre in units of the scale, (N,).
        log_det: Log determinant of the root of the scale matrix, ().
        columns: Number of columns, D.
        df: Degrees of freedom.
    """
    constant = math.lgamma((df + columns) / 2) - math.lgamma(df / 2)
    constant -= columns / 2 * math.log(df * math.pi)
    return constant - log_det - (df + columns) / 2 * (squared / df).log1p()
