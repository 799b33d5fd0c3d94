"""Groups of rows: their codes in x, and partially pooled deviations of the switch."""

import pyro.distributions as dist
import torch
from pyro.distributions import TorchDistribution
from torch import Tensor

from nbam_pyro.errors import DataError
from nbam_pyro.models.latents import Latents


def split_groups(x: Tensor) -> tuple[Tensor, Tensor]:
    """Rows without the codes of their groups, and the codes, (N,).

    Args:
        x: rows, (N, D + 1), or with one more channel, (N, C + 1, ...).

    Raises:
        DataError: x has no columns or channels, or nothing but codes.
    """
    if x.ndim < 2 or x.shape[1] < 2:
        raise DataError(
            f"x has shape {tuple(x.shape)}: with groups its last column or channel is the code of "
            "a row's group, which with_groups appends."
        )
    return x[:, :-1], x[:, -1].flatten(1)[:, 0].long() if x.ndim > 2 else x[:, -1].long()


def check_groups(x: Tensor, groups: int) -> None:
    """Raise a `DataError` where the last column or channel of x has no codes of groups."""
    _, codes = split_groups(x)
    last = x[:, -1]
    if (last != last.round()).any() or codes.min() < -1 or codes.max() >= groups:
        raise DataError(
            f"The last column of x runs from {float(last.min()):g} to {float(last.max()):g}; for "
            f"{groups} groups it has their codes, 0 to {groups - 1}, and -1 where unknown: append "
            "them by with_groups."
        )


def group_priors(groups: int, scale: float, like: Tensor) -> dict[str, TorchDistribution]:
    """Priors of the deviations of groups from the population, in the non-centred form."""
    unit = dist.Normal(like.new_zeros(groups), 1.0, validate_args=False)
    spread = dist.HalfNormal(like.new_tensor(scale), validate_args=False)
    return {"group_spread": spread, "group": unit.to_event(1)}


def group_deviation(codes: Tensor, latents: Latents) -> Tensor:
    """tau u_g of every row, (N,), 0 where the group is unknown."""
    u = latents["group_spread"] * latents["group"]
    return torch.where(codes >= 0, u[codes.clamp_min(0)], 0.0)
