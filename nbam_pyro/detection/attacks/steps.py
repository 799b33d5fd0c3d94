"""Step rules: how an attack walks inside a ball to where an objective is large."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from nbam_pyro.detection.attacks.ball import Ball
from nbam_pyro.errors import DataError
from nbam_pyro.models.likelihoods.component import check_positive

__all__ = ["Climb", "FixedStep", "HalvingStep", "StepRule"]

Climb = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Function that takes rows (N, ...) and returns values to raise (N,), and gradients (N, ...)."""

# Shares of the steps after which step sizes may be halved: the first, the shrinkage of the
# intervals between them, and the shortest interval. From Croce & Hein (2020).
_FIRST, _SHRINK, _SHORTEST = 0.22, 0.03, 0.06


class StepRule(ABC):
    """The base class of step rules.

    Example:
        >>> class OneStep(StepRule):
        ...     def walk(self, climb, x, ball, steps):
        ...         _, gradient = climb(x)
        ...         climb(ball.nearest(x + 2 * ball.eps * gradient.sign()))
    """

    @abstractmethod
    def walk(self, climb: Climb, x: Tensor, ball: Ball, steps: int) -> None:
        """Walk inside of the ball. `climb` keeps the best row that it is called with.

        Args:
            climb: Function that returns the values to raise, and their gradients.
            x: Rows to begin with, (N, ...).
            ball: Rows that are allowed.
            steps: Number of steps.
        """


@final
@dataclass(frozen=True, kw_only=True)
class FixedStep(StepRule):
    """Steps of equal size in the direction of the sign of the gradient.

    Args:
        size: Length of the whole walk in units of eps: each step is size * eps / steps long.

    Raises:
        DataError: The size is not positive.

    Source: Madry et al. (2018).

    Example:
        >>> FixedStep()
        FixedStep(size=2.5)
    """

    size: float = 2.5

    def __post_init__(self) -> None:
        check_positive("size", self.size)

    def walk(self, climb: Climb, x: Tensor, ball: Ball, steps: int) -> None:
        step = self.size * ball.eps / steps
        for _ in range(steps):
            _, gradient = climb(x)
            x = ball.nearest(x + step * gradient.sign())
        climb(x)


@final
@dataclass(frozen=True, kw_only=True)
class HalvingStep(StepRule):
    """Steps with momentum, whose size is halved where they do not help. Each row has its own size.

    The first size is 2 eps. At fixed checkpoints the size of a row is halved if fewer than three
    quarters of the steps since the last checkpoint raised its value, or if its best value has not
    changed since then and its size was not halved there. The walk then continues from the best row.

    Args:
        momentum: Weight of the new step, from 0 (excluded) to 1. The last step has the rest.

    Raises:
        DataError: The momentum is not positive, or above 1.

    Source: Croce & Hein (2020), APGD.

    Example:
        >>> HalvingStep()
        HalvingStep(momentum=0.75)
    """

    momentum: float = 0.75

    def __post_init__(self) -> None:
        check_positive("momentum", self.momentum)
        if self.momentum > 1:
            raise DataError(f"momentum is {self.momentum}; give a number above 0, at most 1.")

    def walk(self, climb: Climb, x: Tensor, ball: Ball, steps: int) -> None:
        value, gradient = climb(x)
        best, top, top_gradient = value, x, gradient
        step, before = 2 * ball.eps, x
        checkpoints = _checkpoints(steps)
        raised = torch.zeros_like(value)
        last, best_then, halved = 0, best, torch.zeros_like(value, dtype=torch.bool)
        for now in range(1, steps + 1):
            aim = ball.nearest(x + step * gradient.sign())
            share = self.momentum if now > 1 else 1.0
            following = ball.nearest(x + share * (aim - x) + (1 - share) * (x - before))
            before, x = x, following
            following_value, gradient = climb(x)
            raised = raised + (following_value > value)
            value = following_value
            better = value > best
            best = torch.where(better, value, best)
            top, top_gradient = _where(better, x, top), _where(better, gradient, top_gradient)
            if now in checkpoints:
                stuck = (best == best_then) & ~halved
                halved = (raised < 0.75 * (now - last)) | stuck
                step = _where(halved, step / 2, step)
                x, gradient = _where(halved, top, x), _where(halved, top_gradient, gradient)
                value = torch.where(halved, best, value)
                before = _where(halved, top, before)
                raised, last, best_then = torch.zeros_like(raised), now, best


def _checkpoints(steps: int) -> set[int]:
    shares = [0.0, _FIRST]
    while shares[-1] < 1:
        shares.append(shares[-1] + max(shares[-1] - shares[-2] - _SHRINK, _SHORTEST))
    return {max(1, int(share * steps)) for share in shares[1:]}


def _where(rows: Tensor, one: Tensor, other: Tensor) -> Tensor:
    """Return rows (N, ...) of one tensor where a mask (N,) is true, and of the other elsewhere."""
    return torch.where(rows.reshape(-1, *(1,) * (other.ndim - 1)), one, other)
