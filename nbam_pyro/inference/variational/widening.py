"""How much wider the posterior of the clean means is because switches are not known."""

import torch
from torch import Tensor

from nbam_pyro.inference.variational.ascent import ascend, inverse_curvature, polish
from nbam_pyro.inference.variational.mixture import sample_modes
from nbam_pyro.inference.variational.space import LogPosterior

__all__ = ["widening"]

# Draws with known switches, and largest number of rows whose clean means are compared.
_DRAWS, _ROWS = 1000, 500
# Fewest effective draws with known switches among weighted draws with unknown ones.
_EFFECTIVE = 100


def widening(density: LogPosterior, centre: Tensor, draws: Tensor, *, seed: int) -> float:
    r"""Return the factor by which unknown switches widen the posterior of the clean means.

    .. math::
        \sqrt{\sum_i \mathrm{Var}(m_i \mid y) \Big/
              \sum_i \mathrm{Var}(m_i \mid y, \, z = \hat z)}

    m_i is the clean mean of row i, and z^ are the switches of the heaviest mode: 1 where its
    responsibility is above 0.5. The factor is about 1 where the rows in doubt do not change the
    clean means, and larger where they do.

    The draws, weighted by P(z = z^ | y, draw), are draws given z^. If too few of them have a weight
    that matters, the posterior given z^ is searched and drawn from instead.

    Args:
        density: Log posterior density of the global latents.
        centre: Free coordinates of the heaviest mode, (D,).
        draws: Free coordinates of draws from the posterior, (S, D).
        seed: Seed of the draws with known switches.

    Returns:
        The factor; 1.0 for stories without a closed form, and for those whose targets have no mean,
        such as labels.
    """
    if density.story.closed_form is None:
        return 1.0
    means = density.clean_means(draws, most=_ROWS).flatten(1)
    even = torch.full_like(means[:, 0], 1 / len(means))
    wide = _variance(means, even)
    if not wide.isfinite():
        return 1.0
    contaminated = density.responsibilities(centre[None])[0] > 0.5
    r = density.responsibilities(draws)
    agree = torch.where(contaminated, r, 1 - r).log().flatten(1).sum(1)
    weights = (agree - agree.max()).exp()
    weights = weights / weights.sum()
    if not 1 / weights.square().sum() >= _EFFECTIVE:
        known = density.with_switches(contaminated)
        means = density.clean_means(_drawn(known, centre, seed), most=_ROWS).flatten(1)
        weights = torch.full_like(means[:, 0], 1 / len(means))
    factor = (wide / _variance(means, weights)).sqrt()
    return float(factor) if factor.isfinite() else 1.0


def _drawn(known: LogPosterior, centre: Tensor, seed: int) -> Tensor:
    """Return free coordinates of draws from a density near a point, (S, D)."""
    points, heights = polish(known, *ascend(known, centre[None]))
    sampled = sample_modes(known, points, inverse_curvature(known, points), heights, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    index = torch.multinomial(sampled.weights, _DRAWS, replacement=True, generator=generator)
    return sampled.points[index]


def _variance(means: Tensor, weights: Tensor) -> Tensor:
    """Return the variance of weighted clean means, (S, n), added up over the rows, ()."""
    away = means - weights @ means
    return (weights @ away.square()).sum() / (1 - weights.square().sum())
