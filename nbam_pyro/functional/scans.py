"""Products of many 2 x 2 matrices in the logarithm, and compositions of many maps of two states.

A *semiring product* of matrices L and R has the entries `add(L[j, 0] + R[0, k], L[j, 1] + R[1, k])`
with `torch.logaddexp` (sums of probabilities) or `torch.maximum` (the most probable path). The
products are associative, so a tree computes them in about log2 T steps.
"""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

__all__ = ["FLOOR", "followed", "prefix_products", "total_product"]

FLOOR = -1e30
"""Replaces -inf: a sum of impossible paths then has a finite logarithm and a finite gradient."""

Add = Callable[[Tensor, Tensor], Tensor]


def total_product(matrices: Float[Tensor, "*b t 2 2"]) -> tuple[Tensor, Tensor]:
    """Return the product of all matrices, and the logarithm of a number that multiplies it.

    Args:
        matrices: Logarithms of the entries, at least `FLOOR`, (*B, T, 2, 2).

    Returns:
        The product (*B, 2, 2), whose largest entry is 0, and the logarithm of its scale (*B,).
    """
    scale = matrices.new_zeros(matrices.shape[:-3])
    while True:
        # Without a common scale, sums over long chains would lose the digits of small differences.
        top = matrices.detach().amax((-2, -1))
        matrices = matrices - top[..., None, None]
        scale = scale + top.sum(-1)
        if matrices.shape[-3] == 1:
            return matrices.squeeze(-3), scale
        if matrices.shape[-3] % 2:
            last = _identity(matrices).expand(*matrices.shape[:-3], 1, 2, 2)
            matrices = torch.cat([matrices, last], -3)
        pairs = matrices.unflatten(-3, (-1, 2))
        matrices = _multiplied(pairs.select(-3, 0), pairs.select(-3, 1), torch.logaddexp)


def prefix_products(matrices: Float[Tensor, "*b t 2 2"], *, add: Add) -> Tensor:
    """Return the products of the first 1, 2, ..., T matrices, (*B, T, 2, 2).

    Each product is divided by its largest entry, so only ratios of its entries have a meaning.

    Args:
        matrices: Logarithms of the entries, at least `FLOOR`, (*B, T, 2, 2).
        add: `torch.logaddexp` or `torch.maximum`.
    """
    matrices = matrices - matrices.detach().amax((-2, -1), keepdim=True)
    count = matrices.shape[-3]
    if count == 1:
        return matrices
    even, odd = matrices[..., 0::2, :, :], matrices[..., 1::2, :, :]
    pairs = prefix_products(_multiplied(even[..., : count // 2, :, :], odd, add), add=add)
    later = _multiplied(pairs[..., : (count - 1) // 2, :, :], even[..., 1:, :, :], add)
    later = later - later.detach().amax((-2, -1), keepdim=True)
    found = torch.empty_like(matrices)
    found[..., 1::2, :, :] = pairs
    found[..., 0::2, :, :] = torch.cat([even[..., :1, :, :], later], -3)
    return found


def followed(maps: Bool[Tensor, "*b t 2"], last: Bool[Tensor, "*b"]) -> Int[Tensor, "*b _"]:
    """Return the path of states that follows maps from the last state back to the first.

    Args:
        maps: State at time t for each state at time t + 1, (*B, T, 2).
        last: State at the last time, (*B,).

    Returns:
        States z with z[t] = maps[t, z[t + 1]], (*B, T + 1).

    Example:
        >>> maps = torch.tensor([[True, True], [True, False], [False, True]])
        >>> followed(maps, torch.tensor(True))
        tensor([1, 0, 1, 1])
    """
    backwards = torch.cat([last[..., None, None].expand(*last.shape, 1, 2), maps.flip(-2)], -2)
    # A map is constant, the identity, or an exchange. The last constant map sets the state, and
    # exchanges after it invert the state.
    constant = backwards[..., 0] == backwards[..., 1]
    places = torch.arange(backwards.shape[-2], device=maps.device).expand(constant.shape)
    start = torch.where(constant, places, 0).cummax(-1).values
    exchanges = (backwards[..., 0] & ~constant).long().cumsum(-1)
    since = exchanges - exchanges.gather(-1, start)
    found = (backwards[..., 0].long().gather(-1, start) + since) % 2
    return found.flip(-1)


def _multiplied(left: Tensor, right: Tensor, add: Add) -> Tensor:
    return add(
        left[..., :, 0, None] + right[..., None, 0, :],
        left[..., :, 1, None] + right[..., None, 1, :],
    )


def _identity(like: Tensor) -> Tensor:
    return like.new_tensor([[0.0, FLOOR], [FLOOR, 0.0]])
