"""A test of whether features have left the distribution of normal rows."""

from typing import final

import numpy as np
import torch
from sklearn.covariance import LedoitWolf
from sklearn.model_selection import KFold
from torch import Tensor, nn

from nbam_pyro.errors import DataError

__all__ = ["ShiftFilter"]

_FOLDS = 5
_ROUNDING = 1e-6


@final
class ShiftFilter(nn.Module):
    r"""Accepts rows whose features are too unusual for normal rows, by a test at a level.

    .. math::
        d^2(x) = (\psi(x) - m)^\top S^{-1} (\psi(x) - m), \qquad
        x \text{ is accepted if } d^2(x) > \lambda

    The mean m and the covariance S are those of normal rows; S is shrunk (Ledoit & Wolf). The limit
    lambda is exceeded by a share `level` of normal rows. It is computed out of fold: the distance
    of each normal row uses m and S of other rows. In-sample distances are too small, and nearly
    everything would be accepted.

    Args:
        features: Features psi of normal rows, (N, D), at least two rows.
        level: Share of normal rows that would be accepted, in (0, 1].

    Raises:
        DataError: The level is not in (0, 1], or there are fewer than two rows.

    Source: Mahalanobis (1936); Ledoit & Wolf (2004).

    Example:
        >>> normal = torch.linspace(-2, 2, 101)[:, None]
        >>> ShiftFilter(normal, level=0.05)(torch.tensor([[0.0], [3.0]]))
        tensor([False,  True])
    """

    mean: Tensor
    precision: Tensor
    limit: Tensor

    def __init__(self, features: Tensor, *, level: float = 0.05) -> None:
        super().__init__()
        if not 0 < level <= 1:
            raise DataError(f"level is {level}; give a share of normal rows in (0, 1].")
        values = features.detach().double().cpu().numpy()
        if values.ndim != 2 or len(values) < 2:
            raise DataError(f"features have shape {values.shape}; give (N, D), two rows or more.")
        apart = np.empty(len(values))
        for others, own in KFold(min(_FOLDS, len(values)), shuffle=True, random_state=0).split(
            values
        ):
            apart[own] = _fitted(values[others]).mahalanobis(values[own])
        whole = _fitted(values)
        limit = np.quantile(apart, 1 - level) if level < 1 else -np.inf
        for name, value in (
            ("mean", whole.location_),
            ("precision", whole.precision_),
            ("limit", limit),
        ):
            self.register_buffer(name, torch.as_tensor(value).to(features))

    def forward(self, features: Tensor) -> Tensor:
        """Return whether each row is accepted, (N,) booleans.

        Args:
            features: Features of rows, (N, D).
        """
        apart = features - self.mean
        return ((apart @ self.precision) * apart).sum(-1) > self.limit


def _fitted(values: np.ndarray) -> LedoitWolf:
    if not values.std(0).any():
        # Equal rows have no covariance. Differences of this size are rounding errors.
        values = np.concatenate([values + _ROUNDING, values - _ROUNDING])
    return LedoitWolf().fit(values)
