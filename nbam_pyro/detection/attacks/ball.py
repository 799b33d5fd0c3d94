"""The rows that an attacker may choose: a box around each row, cut at the bounds of the values."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from nbam_pyro.errors import DataError

__all__ = ["Ball", "Bounds"]

Bounds = tuple[float, float]
"""Smallest and largest value that a row can have, such as (0, 1) for pixels."""


@final
@dataclass(frozen=True, eq=False)
class Ball:
    """All rows whose values differ from those of a row by at most eps, and lie within bounds.

    Attributes:
        low: Smallest value of each place, (N, ...).
        high: Largest value of each place, (N, ...).
        eps: Largest change of each place without the bounds, (N, ...).
    """

    low: Tensor
    high: Tensor
    eps: Tensor

    @classmethod
    def around(cls, x: Tensor, eps: float | Tensor, bounds: Bounds | None = None) -> "Ball":
        """Return the balls around rows.

        Args:
            x: Rows, (N, ...).
            eps: Largest change of a value, as a number, or broadcast to x for features of different
                units.
            bounds: Smallest and largest value of x; None if values are not bounded.

        Raises:
            DataError: eps is negative or not finite, or x has values outside of the bounds.

        Example:
            >>> Ball.around(torch.tensor([[0.1, 0.9]]), 0.5, (0.0, 1.0)).high
            tensor([[0.6000, 1.0000]])
        """
        size = torch.as_tensor(eps, dtype=x.dtype, device=x.device)
        if not bool((size.isfinite() & (size >= 0)).all()):
            raise DataError(f"eps is {eps}; give finite numbers, 0 or more.")
        low, high = x - size, x + size
        if bounds is not None:
            check_bounds(x, bounds)
            low, high = low.clamp_min(bounds[0]), high.clamp_max(bounds[1])
        return cls(low, high, size.expand_as(x))

    def nearest(self, x: Tensor) -> Tensor:
        """Return the nearest rows inside of the balls, (N, ...).

        Args:
            x: Rows, (N, ...).
        """
        return torch.minimum(torch.maximum(x, self.low), self.high)

    def random(self, generator: torch.Generator) -> Tensor:
        """Return one uniform random row of each ball, (N, ...).

        Args:
            generator: Generator on the CPU.
        """
        share = torch.rand(self.low.shape, generator=generator, dtype=self.low.dtype)
        return self.nearest(self.low + share.to(self.low.device) * (self.high - self.low))

    def corner(self, generator: torch.Generator) -> Tensor:
        """Return one random corner of each ball, (N, ...): every value is changed by eps.

        Args:
            generator: Generator on the CPU.
        """
        up = torch.rand(self.low.shape, generator=generator) < 0.5
        return torch.where(up.to(self.low.device), self.high, self.low)


def check_bounds(x: Tensor, bounds: Bounds) -> None:
    """Raise a `DataError` if bounds are not in order, or if a value lies outside of them.

    Args:
        x: Rows, (N, ...).
        bounds: Smallest and largest value.
    """
    if not bounds[0] < bounds[1]:
        raise DataError(f"bounds are {bounds}; give the smallest and then the largest value.")
    if x.numel() and (float(x.min()) < bounds[0] or float(x.max()) > bounds[1]):
        raise DataError(
            f"Values reach from {float(x.min()):g} to {float(x.max()):g}, beyond the bounds "
            f"{bounds}. Give other bounds, or scale the rows."
        )
