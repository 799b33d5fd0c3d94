"""Draws of a density with several modes, and the weight of each mode."""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from nbam_pyro.inference.variational.chains import bridge_evidence, hamiltonian_draws

__all__ = ["Sampled", "sample_modes"]

# Degrees of freedom of the Student-t distributions.
_DF = 5.0
# Draws of each round, and largest number of rounds.
_DRAWS, _ROUNDS = 2000, 4
# Rounds end if k-hat is below this and there are that many effective draws.
_GOOD, _EFFECTIVE = 0.5, 500
# Above this k-hat, chains replace importance sampling. Number of chains.
_RELIABLE, _CHAINS = 0.7, 48
# Smallest share of the draws for all modes together, so that no mode is forgotten.
_EVEN = 0.2
# A covariance is computed from draws only if there are this many effective ones per dimension.
_PER_DIMENSION = 5
# Chains of two modes draw from the same region if their means are nearer than this squared number
# of standard deviations.
_TOGETHER = 1.0
# Part of the covariance around a mode that the draws of its chains have at least.
_LEAST = 1e-3
# Weight of the previous covariance.
_OLD = 0.2


@dataclass(frozen=True)
class Sampled:
    """Weighted draws of a density.

    Attributes:
        points: Draws, (S, D).
        values: Log density of the draws, (S,), up to a constant.
        weights: Normalised importance weights, (S,).
        of_mode: Probability that each draw belongs to each of the M modes, (S, M).
        k_hat: Pareto k-hat, a diagnostic of the importance weights. It is below 0.7; None if the
            draws come from Markov chains.
        log_evidence: Logarithm of the integral of the density.
    """

    points: Tensor
    values: Tensor
    weights: Tensor
    of_mode: Tensor
    k_hat: float | None
    log_evidence: float


def sample_modes(
    log_density: Callable[[Tensor], Tensor],
    centres: Tensor,
    covariances: Tensor,
    heights: Tensor,
    *,
    seed: int,
) -> Sampled:
    """Draw from a density with several modes.

    Draws of a mixture of Student-t distributions around the modes are weighted by the density
    (importance sampling). After each round, the mixture adapts to the weighted draws of all rounds.
    Every draw is weighted against the average of the mixtures of all rounds, and the weights are
    Pareto smoothed. Where the weights are not reliable (k-hat of 0.7 or more), chains start from
    the modes instead, and bridge sampling weights the modes.

    Args:
        log_density: Log density of points, (S, D), up to a constant, with values (S,).
        centres: Modes, (M, D).
        covariances: Inverse curvature at each mode, (M, D, D).
        heights: Log density at each mode, (M,).
        seed: Seed of the draws.

    Source: Cornuet et al. (2012) for the adaptation; Vehtari et al. (2024) for the weights.
    """
    generator = torch.Generator().manual_seed(seed)
    evidence = heights + 0.5 * torch.logdet(2 * math.pi * covariances)
    laplace = _Mixture(_with_even(evidence.softmax(0)), centres, covariances)
    mixture = laplace
    mixtures: list[_Mixture] = []
    points = centres[:0]
    values = heights[:0]
    best, least = None, _RELIABLE
    for _ in range(_ROUNDS):
        mixtures.append(mixture)
        drawn = mixture.draw(_DRAWS, generator)
        points = torch.cat([points, drawn])
        values = torch.cat([values, log_density(drawn)])
        found = _weighted(points, values, mixtures)
        k_hat = math.inf if found.k_hat is None else found.k_hat
        enough = 1 / float((found.weights**2).sum()) > max(_EFFECTIVE, 5 * centres.shape[1])
        if enough and k_hat < least:
            best, least = found, k_hat
        if least < _GOOD:
            break
        mixture = mixture.adapted(found)
    return best or _chains(log_density, laplace, centres, seed=seed)


@dataclass(frozen=True)
class _Mixture:
    """A mixture of Student-t distributions.

    Attributes:
        shares: Weight of each part, (M,).
        centres: Centre of each part, (M, D).
        covariances: Covariance of each part, (M, D, D).
    """

    shares: Tensor
    centres: Tensor
    covariances: Tensor

    @cached_property
    def roots(self) -> Tensor:
        """A square root of each covariance, (M, D, D)."""
        return torch.stack([_root(one) for one in self.covariances])

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw points, (S, D)."""
        which = torch.multinomial(self.shares, count, replacement=True, generator=generator)
        return self.centres[which] + _student(self.roots[which], generator)

    def log_parts(self, points: Tensor) -> Tensor:
        """Return the log density of points under each part, with its weight, (S, M)."""
        return self.shares.log() + _student_log_density(points, self.centres, self.roots)

    def adapted(self, found: Sampled) -> "_Mixture":
        """Return a mixture with the moments of the weighted draws of each part."""
        centres, covariances = self.centres.clone(), self.covariances.clone()
        size = centres.shape[1]
        for number in range(len(centres)):
            weights = found.weights * found.of_mode[:, number]
            total = weights.sum()
            if not total > 1e-6 or total**2 / (weights**2).sum() < _PER_DIMENSION * size:
                continue
            weights = weights / total
            centres[number] = weights @ found.points
            away = found.points - centres[number]
            spread = (away * weights[:, None]).mT @ away
            covariances[number] = (1 - _OLD) * spread + _OLD * self.covariances[number]
        return _Mixture(_with_even(found.weights @ found.of_mode), centres, covariances)


def _weighted(points: Tensor, values: Tensor, mixtures: list[_Mixture]) -> Sampled:
    """Weight draws of several mixtures, as many from each, against the average of the mixtures."""
    from arviz_stats.base import array_stats

    parts = torch.stack([mixture.log_parts(points) for mixture in mixtures])
    by_mode = parts.logsumexp(0) - math.log(len(mixtures))
    proposal = by_mode.logsumexp(1)
    log_ratio = values - proposal
    with np.errstate(all="ignore"):
        smoothed, k_hat = array_stats.psislw(-log_ratio.clamp_min(-1e30).numpy())
    weights = torch.as_tensor(smoothed).softmax(0)
    if not (weights.isfinite().all() and math.isfinite(k_hat)):  # too few different ratios
        weights, k_hat = log_ratio.softmax(0), math.inf
    return Sampled(
        points=points,
        values=values,
        weights=weights,
        of_mode=(by_mode - proposal[:, None]).exp(),
        k_hat=float(k_hat),
        log_evidence=float(log_ratio.logsumexp(0)) - math.log(len(points)),
    )


def _chains(
    log_density: Callable[[Tensor], Tensor],
    mixture: _Mixture,
    modes: Tensor,
    *,
    seed: int,
) -> Sampled:
    """Draw by chains from each mode, and weight the modes by bridge sampling.

    Chains of different modes may draw from the same region, for example where a density has kinks.
    Such modes are weighted together, and each draw belongs to one of them.

    Args:
        log_density: Log density of points.
        mixture: Student-t distribution around each mode.
        modes: Modes, (M, D), from which chains start.
        seed: Seed of the chains.
    """
    count = len(modes)
    which = torch.arange(_CHAINS) % count
    roots = mixture.roots
    chains, heights = hamiltonian_draws(log_density, modes[which], roots[which], seed=seed)
    generator = torch.Generator().manual_seed(seed + 1)
    evidences, points, values, of_mode = [], [], [], []
    own_draws = [chains[which == number].flatten(end_dim=1) for number in range(count)]
    groups = _groups(own_draws, mixture.covariances)
    for group in groups:
        members = torch.isin(which, torch.tensor(group))
        own, own_values = chains[members], heights[members]
        first, second = own.unflatten(1, (2, -1)).unbind(1)
        first, second = first.flatten(end_dim=1), second.flatten(end_dim=1)
        second_values = own_values.unflatten(1, (2, -1))[:, 1].flatten()
        centre, covariance = _moments(first)
        proposal = _Mixture(torch.ones(1, dtype=first.dtype), centre[None], covariance[None])
        drawn = proposal.draw(len(second), generator)
        evidences.append(
            bridge_evidence(
                second_values,
                proposal.log_parts(second)[:, 0],
                log_density(drawn),
                proposal.log_parts(drawn)[:, 0],
            )
        )
        own = own.flatten(end_dim=1)
        points.append(own)
        values.append(own_values.flatten())
        nearest = torch.tensor(group)[mixture.log_parts(own)[:, group].argmax(1)]
        of_mode.append(torch.eye(count, dtype=own.dtype)[nearest])
    weights = torch.tensor(evidences, dtype=modes.dtype).softmax(0)
    each = torch.cat([w.expand(len(p)) / len(p) for w, p in zip(weights, points, strict=True)])
    return Sampled(
        points=torch.cat(points),
        values=torch.cat(values),
        weights=each,
        of_mode=torch.cat(of_mode),
        k_hat=None,
        log_evidence=float(torch.tensor(evidences).logsumexp(0)),
    )


def _groups(draws: list[Tensor], usual: Tensor) -> list[list[int]]:
    """Return groups of modes whose chains draw from the same region.

    Args:
        draws: Draws of the chains from each mode, (S, D).
        usual: Covariance around each mode, (M, D, D), for chains that have not moved.
    """
    from scipy.sparse.csgraph import connected_components

    means, covariances = zip(*(_moments(own) for own in draws), strict=True)
    linked = np.eye(len(draws), dtype=bool)
    for one, other in itertools.combinations(range(len(draws)), 2):
        away = means[one] - means[other]
        spread = covariances[one] + covariances[other] + _LEAST * (usual[one] + usual[other])
        linked[one, other] = float(away @ torch.linalg.solve(spread, away)) < _TOGETHER
    _, group = connected_components(linked, directed=False)
    return [np.flatnonzero(group == one).tolist() for one in np.unique(group)]


def _moments(points: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean, (D,), and the covariance, (D, D), of some points, (S, D)."""
    size = points.shape[1]
    return points.mean(0), torch.cov(points.mT).reshape(size, size)


def _with_even(shares: Tensor) -> Tensor:
    return (1 - _EVEN) * shares + _EVEN / len(shares)


def _root(covariance: Tensor) -> Tensor:
    """Return a square root of a covariance whose smallest eigenvalues are lifted."""
    units = covariance.diagonal().clamp_min(1e-30).sqrt()
    scaled = covariance / units / units[:, None]
    values, vectors = torch.linalg.eigh((scaled + scaled.mT) / 2)
    return units[:, None] * vectors * values.clamp_min(1e-10).sqrt()


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
