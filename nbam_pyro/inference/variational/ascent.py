"""Maximise a function from many starting points at once."""

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["ascend", "inverse_curvature", "polish"]

# Largest change of one coordinate in one step.
_LONGEST = 2.0
# Share of the expected gain that a step must reach, and factor by which a step is shortened.
_ENOUGH, _SHORTER, _TRIES = 1e-4, 0.4, 12
# A point has arrived if its value no longer changes by more than this, relative to its size.
_STILL = 1e-8

# Largest number of Newton's steps, and the expected gain that ends them.
_NEWTON, _GAIN = 12, 1e-6
# Distance of the points that differences are computed from.
_APART = 1e-4
# Smallest curvature.
_FLAT = 1e-3

Function = Callable[[Tensor], Tensor]
"""A function of points, (S, D), that returns one value for each, (S,)."""


def ascend(function: Function, starts: Tensor, *, iterations: int = 200) -> tuple[Tensor, Tensor]:
    """Maximise a function from each of several starting points by the BFGS method.

    All points move side by side: each step evaluates the function once for all points. Each point
    has its own estimate of the inverse curvature and its own step length (backtracking).

    Args:
        function: Function of points, (S, D), with values (S,). A value of -inf is allowed.
        starts: Starting points, (S, D), in double precision.
        iterations: Largest number of steps.

    Returns:
        The points that were reached, (S, D), and their values, (S,).

    Source: Nocedal & Wright (2006), algorithm 6.1.

    Example:
        >>> centre = torch.tensor([1.0, -2.0])
        >>> points, values = ascend(lambda u: -((u - centre) ** 2).sum(-1), torch.zeros(3, 2))
        >>> points[0].round(decimals=3)
        tensor([ 1., -2.])
    """
    points = starts.detach().clone()
    count, size = points.shape
    identity = torch.eye(size, dtype=points.dtype).expand(count, size, size)
    inverse = identity.clone()
    values, slopes = with_slopes(function, points)
    fresh = torch.ones(count, dtype=torch.bool)  # points whose inverse is still the identity
    arrived = ~values.isfinite()
    for _ in range(iterations):
        way = (inverse @ slopes[..., None])[..., 0]
        gain = (way * slopes).sum(-1)
        fresh = fresh | ~(gain > 0)
        inverse = torch.where(fresh[:, None, None], identity, inverse)
        way = torch.where(fresh[:, None], slopes, way)
        gain = torch.where(fresh, (slopes * slopes).sum(-1), gain)
        length = torch.where(fresh, 1 / slopes.norm(dim=-1).clamp_min(1.0), 1.0)
        length = torch.minimum(length, _LONGEST / way.abs().amax(-1).clamp_min(1e-300))
        new, new_values, new_slopes = points.clone(), values.clone(), slopes.clone()
        moved = torch.zeros(count, dtype=torch.bool)
        for _ in range(_TRIES):
            open_ = (~moved & ~arrived).nonzero()[:, 0]
            if not len(open_):
                break
            tried = points[open_] + length[open_, None] * way[open_]
            tried_values, tried_slopes = with_slopes(function, tried)
            good = tried_values >= values[open_] + _ENOUGH * length[open_] * gain[open_]
            index = open_[good]
            new[index], new_values[index] = tried[good], tried_values[good]
            new_slopes[index] = tried_slopes[good]
            moved[index] = True
            length[open_[~good]] *= _SHORTER
        step, change = new - points, slopes - new_slopes
        inverse, fresh = _updated(inverse, step, change, fresh, moved)
        still = (new_values - values).abs() <= _STILL * (1 + values.abs())
        arrived = arrived | (moved & still) | (~moved & fresh)
        fresh = fresh | ~moved
        points, values, slopes = new, new_values, new_slopes
        if arrived.all():
            break
    return points, values


def polish(function: Function, points: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Move points that are near maxima to the maxima, by Newton's method.

    The curvature is exact, so the maximum of a function with very different curvatures is found
    where `ascend` stops early.

    Args:
        function: Function of points, (S, D), with values (S,).
        points: Points near maxima, (S, D), in double precision.
        values: Values at these points, (S,).
    """
    for _ in range(_NEWTON):
        _, slopes = with_slopes(function, points)
        way = (inverse_curvature(function, points) @ slopes[..., None])[..., 0]
        gain = (way * slopes).sum(-1)
        if (gain <= _GAIN).all():
            break
        length = torch.minimum(gain.new_ones(()), _LONGEST / way.abs().amax(-1).clamp_min(1e-300))
        moved = torch.zeros(len(points), dtype=torch.bool)
        for _ in range(_TRIES):
            tried = points + length[:, None] * way
            tried_values = function(tried)
            good = ~moved & (tried_values >= values + _ENOUGH * length * gain)
            points = torch.where(good[:, None], tried, points)
            values = torch.where(good, tried_values, values)
            moved = moved | good
            if moved.all():
                break
            length = length * _SHORTER
        if not moved.any():
            break
    return points, values


def inverse_curvature(function: Function, points: Tensor) -> Tensor:
    """Return the inverse of the negative second derivatives at some points, (S, D, D).

    Directions in which the function does not bend downwards have a small positive curvature.

    Args:
        function: Function of points, (S, D), with values (S,).
        points: Points, (S, D), in double precision.
    """
    second = _second_derivatives(function, points)
    # Units in which the curvatures along all axes are 1: a nearly exact line has some of 1e14.
    units = second.diagonal(dim1=1, dim2=2).abs().clamp_min(_FLAT).rsqrt()
    values, vectors = torch.linalg.eigh(units[:, :, None] * second * units[:, None, :])
    vectors = units[:, :, None] * vectors
    return (vectors / values.clamp_min(_FLAT)[:, None]) @ vectors.mT


def _second_derivatives(function: Function, points: Tensor) -> Tensor:
    """Return the negative second derivatives, (S, D, D).

    If torch can differentiate the function only once, these derivatives are not finite. Differences
    of first derivatives are used instead.
    """
    size = points.shape[1]
    with torch.enable_grad():
        points = points.detach().requires_grad_()
        (slopes,) = torch.autograd.grad(function(points).sum(), points, create_graph=True)
        rows = [torch.autograd.grad(one.sum(), points, retain_graph=True)[0] for one in slopes.T]
    second = -torch.stack(rows, 1)
    lost = ~second.isfinite().flatten(1).all(1)
    if lost.any():
        steps = _APART * torch.eye(size, dtype=points.dtype)
        around = torch.stack([points[lost, None] + steps, points[lost, None] - steps], 1)
        _, near = with_slopes(function, around.reshape(-1, size))
        ahead, behind = near.reshape(-1, 2, size, size).unbind(1)
        second[lost] = (behind - ahead) / (2 * _APART)
    return (second + second.mT) / 2


def with_slopes(function: Function, points: Tensor) -> tuple[Tensor, Tensor]:
    """Return values, (S,), and gradients, (S, D). Values that are not finite become -inf.

    Args:
        function: Function of points, (S, D), with values (S,).
        points: Points, (S, D).
    """
    with torch.enable_grad():
        points = points.detach().requires_grad_()
        values = function(points)
        (slopes,) = torch.autograd.grad(values.sum(), points)
    values = torch.where(values.isfinite(), values, -torch.inf)
    return values.detach(), slopes.nan_to_num(0.0, 0.0, 0.0)


def _updated(
    inverse: Tensor, step: Tensor, change: Tensor, fresh: Tensor, moved: Tensor
) -> tuple[Tensor, Tensor]:
    """Update the inverse curvature of points that moved; also return which were never updated."""
    along = (step * change).sum(-1)
    usable = moved & (along > 1e-10 * step.norm(dim=-1) * change.norm(dim=-1))
    first = fresh & usable
    unit = along / (change * change).sum(-1).clamp_min(1e-300)
    inverse = torch.where(first[:, None, None], inverse * unit[:, None, None], inverse)
    rho = (1 / along.clamp_min(1e-300))[:, None, None]
    outer = step[:, :, None] * change[:, None, :]
    left = torch.eye(step.shape[1], dtype=step.dtype) - rho * outer
    renewed = left @ inverse @ left.mT + rho * step[:, :, None] * step[:, None, :]
    return torch.where(usable[:, None, None], renewed, inverse), fresh & ~usable
