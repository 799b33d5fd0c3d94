"""Groups of rows: the codes of groups in x, and the deviation of each group's contamination."""

import pyro.distributions as dist
import torch
from pyro.distributions import TorchDistribution
from torch import Tensor

from nbam_pyro.errors import DataError
from nbam_pyro.models.latents import Latents


def split_groups(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the rows without the codes of their groups, and the codes, (N,).

    Args:
        x: Rows, (N, D + 1), or (N, C + 1, ...), whose last column or channel holds the codes.

    Raises:
        DataError: x has no columns or channels, or no other column or channel than the codes.
    """
    if x.ndim < 2 or x.shape[1] < 2:
        raise DataError(
            f"x has shape {tuple(x.shape)}; a story with groups needs features and, in the last "
            "column or channel, the code of each row's group: append the codes with with_groups."
        )
    return x[:, :-1], x[:, -1].flatten(1)[:, 0].long() if x.ndim > 2 else x[:, -1].long()


def check_groups(x: Tensor, groups: int) -> None:
    """Raise a `DataError` where the last column or channel of x does not hold codes of groups.

    Args:
        x: Rows of D features and one last column of group codes, (N, D + 1), or images of C
            channels and one last channel of group codes, (N, C + 1, ...).
        groups: Number of groups.
    """
    _, codes = split_groups(x)
    last = x[:, -1]
    if (last != last.round()).any() or codes.min() < -1 or codes.max() >= groups:
        raise DataError(
            f"The last column of x has values from {float(last.min()):g} to {float(last.max()):g}. "
            f"With {groups} groups it must hold the code of each row's group: whole numbers 0 to "
            f"{groups - 1}, or -1 for an unknown group. Append the codes with with_groups."
        )


def group_priors(groups: int, scale: float, like: Tensor) -> dict[str, TorchDistribution]:
    """Return the priors of the groups' deviations by site name, in the non-centred form.

    Args:
        groups: Number of groups.
        scale: Scale of the half-Normal prior on the groups' spread, in logits.
        like: Tensor whose precision and device the priors have.
    """
    unit = dist.Normal(like.new_zeros(groups), 1.0, validate_args=False)
    spread = dist.HalfNormal(like.new_tensor(scale), validate_args=False)
    return {"group_spread": spread, "group": unit.to_event(1)}


def group_deviation(codes: Tensor, latents: Latents) -> Tensor:
    """Return the deviation tau u_g of each row's group g, (N,), or 0 for an unknown group.

    Args:
        codes: Codes of the rows' groups, (N,); -1 for an unknown group.
        latents: Values of the sites "group_spread" (tau) and "group" (u).
    """
    u = latents["group_spread"] * latents["group"]
    return torch.where(codes >= 0, u[codes.clamp_min(0)], 0.0)
