"""Importance sampling of a density with several modes, from Student-t distributions around them."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from arviz_stats.base import array_stats
from torch import Tensor

__all__ = ["Sampled", "importance_sample"]

# Degrees of freedom of the Student-t distributions.
_DF = 5.0
# Draws of each round, and largest number of rounds.
_DRAWS, _ROUNDS = 2000, 6
# Rounds end if k-hat is below this and there are that many effective draws.
_GOOD, _EFFECTIVE = 0.5, 500
# Smallest share of the draws for all modes together, so that no mode is forgotten.
_EVEN = 0.2
# A covariance is computed from draws only if there are this many effective ones per dimension.
_PER_DIMENSION = 5
# Weight of the previous covariance.
_OLD = 0.2


@dataclass(frozen=True)
class Sampled:
    """Weighted draws of a density.

    Attributes:
        points: Draws, (S, D).
        weights: Normalised importance weights, (S,).
        of_mode: Probability that each draw belongs to each mode, (S, M).
        k_hat: Pareto k-hat of the weights. Below 0.7 they are reliable.
        log_evidence: Logarithm of the integral of the density.
    """

    points: Tensor
    weights: Tensor
    of_mode: Tensor
    k_hat: float
    log_evidence: float


def importance_sample(
    log_density: Callable[[Tensor], Tensor],
    centres: Tensor,
    covariances: Tensor,
    heights: Tensor,
    *,
    seed: int,
) -> Sampled:
    """Draw from a mixture of Student-t distributions around modes, and weight the draws.

    After each round, the mixture adapts to the weighted draws (adaptive importance sampling). The
    weights are Pareto smoothed.

    Args:
        log_density: Log density of points, (S, D), up to a constant, with values (S,).
        centres: Modes, (M, D).
        covariances: Inverse curvature at each mode, (M, D, D).
        heights: Log density at each mode, (M,).
        seed: Seed of the draws.

    Source: Cappe et al. (2008) for the adaptation; Vehtari et al. (2024) for the weights.
    """
    generator = torch.Generator().manual_seed(seed)
    count = centres.shape[1]
    laplace = heights + 0.5 * torch.logdet(2 * math.pi * covariances)
    shares = _with_even(laplace.softmax(0))
    for number in range(_ROUNDS):
        roots = torch.stack([_root(one) for one in covariances])
        which = torch.multinomial(shares, _DRAWS, replacement=True, generator=generator)
        points = centres[which] + _student(roots[which], generator)
        by_mode = shares.log() + _student_log_density(points, centres, roots)
        proposal = by_mode.logsumexp(1)
        log_ratio = log_density(points) - proposal
        smoothed, k_hat = array_stats.psislw(-log_ratio.clamp_min(-1e30).numpy())
        weights = torch.as_tensor(smoothed).exp()
        weights = weights / weights.sum()
        of_mode = (by_mode - proposal[:, None]).exp()
        found = Sampled(
            points=points,
            weights=weights,
            of_mode=of_mode,
            k_hat=float(k_hat),
            log_evidence=float(log_ratio.logsumexp(0)) - math.log(_DRAWS),
        )
        enough = 1 / float((weights**2).sum()) > max(_EFFECTIVE, 2 * count)
        if (found.k_hat < _GOOD and enough) or number == _ROUNDS - 1:
            break
        shares = _with_even(weights @ of_mode)
        centres, covariances = _adapted(found, centres, covariances)
    return found


def _with_even(shares: Tensor) -> Tensor:
    return (1 - _EVEN) * shares + _EVEN / len(shares)


def _adapted(found: Sampled, centres: Tensor, covariances: Tensor) -> tuple[Tensor, Tensor]:
    """Return centres and covariances of the weighted draws of each mode that has enough draws."""
    new_centres, new_covariances = centres.clone(), covariances.clone()
    size = centres.shape[1]
    for number in range(len(centres)):
        weights = found.weights * found.of_mode[:, number]
        total = weights.sum()
        if not total > 1e-6 or total**2 / (weights**2).sum() < _PER_DIMENSION * size:
            continue
        weights = weights / total
        centre = weights @ found.points
        away = found.points - centre
        spread = (away * weights[:, None]).mT @ away
        new_centres[number] = centre
        new_covariances[number] = (1 - _OLD) * spread + _OLD * covariances[number]
    return new_centres, new_covariances


def _root(covariance: Tensor) -> Tensor:
    """Return a square root of a covariance whose smallest eigenvalues are lifted."""
    values, vectors = torch.linalg.eigh((covariance + covariance.mT) / 2)
    return vectors * values.clamp_min(1e-10).sqrt()


def _student(roots: Tensor, generator: torch.Generator) -> Tensor:
    """Draw one Student-t vector for each root, (S, D), with a covariance of root root^T."""
    count, size, _ = roots.shape
    normal = torch.randn(count, size, generator=generator, dtype=roots.dtype)
    squares = torch.randn(count, int(_DF), generator=generator, dtype=roots.dtype).square().sum(1)
    scaled = normal * ((_DF - 2) / squares).sqrt()[:, None]
    return (roots @ scaled[..., None])[..., 0]


def _student_log_density(points: Tensor, centres: Tensor, roots: Tensor) -> Tensor:
    """Return the log density of points under the Student-t distribution of each mode, (S, M)."""
    size = points.shape[1]
    constant = (
        math.lgamma((_DF + size) / 2)
        - math.lgamma(_DF / 2)
        - size / 2 * math.log((_DF - 2) * math.pi)
    )
    values = []
    for centre, root in zip(centres, roots, strict=True):
        away = torch.linalg.solve(root, (points - centre).mT)
        tail = (_DF + size) / 2 * torch.log1p(away.square().sum(0) / (_DF - 2))
        values.append(constant - torch.linalg.slogdet(root).logabsdet - tail)
    return torch.stack(values, 1)
