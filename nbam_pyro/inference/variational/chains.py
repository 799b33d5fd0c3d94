"""Hamiltonian Monte Carlo side by side, and the evidence of modes by bridge sampling."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from nbam_pyro.inference.variational.ascent import with_slopes

__all__ = ["bridge_evidence", "hamiltonian_draws"]

# Steps of one trajectory, iterations that are discarded, iterations that are kept.
_LEAPS, _WARM_UP, _KEPT = 6, 40, 50
# Acceptance probability that step sizes are adapted to, and rate of the adaptation.
_ACCEPTANCE, _RATE = 0.8, 0.05
# Iterations of the bridge estimate.
_BRIDGE = 100

Density = Callable[[Tensor], Tensor]


def hamiltonian_draws(
    log_density: Density, starts: Tensor, roots: Tensor, *, seed: int
) -> tuple[Tensor, Tensor]:
    """Draw from a density by Hamiltonian Monte Carlo, with all chains side by side.

    Args:
        log_density: Log density of points, (S, D), up to a constant, with values (S,).
        starts: First point of each chain, (C, D).
        roots: Square root of a covariance for each chain, (C, D, D). It sets the scale and the
            direction of the steps.
        seed: Seed of the chains.

    Returns:
        Draws, (C, iterations, D), and their log densities, (C, iterations).

    Source: Neal (2011).
    """
    generator = torch.Generator().manual_seed(seed)
    points = starts.clone()
    values, slopes = with_slopes(log_density, points)
    size = starts.shape[1]
    length = points.new_full((len(points), 1), size**-0.25)
    kept = []
    for number in range(_WARM_UP + _KEPT):
        momentum = torch.randn(points.shape, generator=generator, dtype=points.dtype)
        energy = values - 0.5 * momentum.square().sum(1)
        jitter = 0.8 + 0.4 * torch.rand(len(points), 1, generator=generator, dtype=points.dtype)
        step = length * jitter
        new, new_values, new_slopes = points, values, slopes
        for _ in range(_LEAPS):
            momentum = momentum + step / 2 * _pull(roots, new_slopes)
            new = new + step * _push(roots, momentum)
            new_values, new_slopes = with_slopes(log_density, new)
            momentum = momentum + step / 2 * _pull(roots, new_slopes)
        change = new_values - 0.5 * momentum.square().sum(1) - energy
        accepted = change.nan_to_num(-torch.inf).clamp_max(0).exp()
        taken = torch.rand(len(points), generator=generator, dtype=points.dtype) < accepted
        points = torch.where(taken[:, None], new, points)
        values = torch.where(taken, new_values, values)
        slopes = torch.where(taken[:, None], new_slopes, slopes)
        if number < _WARM_UP:
            length = length * (_RATE * (accepted - _ACCEPTANCE) * 4).exp()[:, None]
        else:
            kept.append((points, values))
    draws, heights = zip(*kept, strict=True)
    return torch.stack(draws, 1), torch.stack(heights, 1)


def bridge_evidence(
    own: Tensor, own_proposal: Tensor, drawn: Tensor, drawn_proposal: Tensor
) -> float:
    """Return the log evidence of a density from its draws and the draws of a proposal.

    Args:
        own: Log density at the draws from the density itself, (S,), up to a constant.
        own_proposal: Log density of the proposal at the same draws, (S,).
        drawn: Log density at the draws from the proposal, (T,), up to the same constant.
        drawn_proposal: Log density of the proposal at the draws from the proposal, (T,).

    Source: Meng & Wong (1996), the optimal bridge.

    Example:
        >>> log_p = torch.zeros(10)
        >>> round(bridge_evidence(log_p + 2, log_p, log_p + 2, log_p), 3)
        2.0
    """
    ours, theirs = own - own_proposal, drawn - drawn_proposal
    share = len(ours) / (len(ours) + len(theirs))
    evidence = ours.median()
    for _ in range(_BRIDGE):
        odds = math.log(share) - math.log1p(-share)
        above = (theirs - torch.logaddexp(theirs + odds, evidence)).logsumexp(0)
        below = (-torch.logaddexp(ours + odds, evidence)).logsumexp(0)
        evidence = above - math.log(len(theirs)) - below + math.log(len(ours))
    return float(evidence)


def _pull(roots: Tensor, slopes: Tensor) -> Tensor:
    return (slopes[:, None] @ roots)[:, 0]


def _push(roots: Tensor, momentum: Tensor) -> Tensor:
    return (roots @ momentum[..., None])[..., 0]
