"""How much wider the posterior of the clean means is because switches are not known."""

import torch
from torch import Tensor

from nbam_pyro.inference.variational.ascent import ascend, inverse_curvature, polish
from nbam_pyro.inference.variational.mixture import sample_modes
from nbam_pyro.inference.variational.space import LogPosterior

__all__ = ["widening"]

# Draws with known switches, and largest number of rows whose clean means are compared.
_DRAWS, _ROWS = 1000, 500


def widening(density: LogPosterior, centre: Tensor, draws: Tensor, *, seed: int) -> float:
    r"""Return the factor by which unknown switches widen the posterior of the clean means.

    .. math::
        \sqrt{\sum_i \mathrm{Var}(m_i \mid y) \Big/
              \sum_i \mathrm{Var}(m_i \mid y, \, z = \hat z)}

    m_i is the clean mean of row i, and z^ are the switches of the heaviest mode: 1 where its
    responsibility is above 0.5. The factor is about 1 where the rows in doubt do not change the
    clean means, and larger where they do, or where modes differ in their means alone.

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
    (responsibility,) = density.responsibilities(centre[None])
    known = density.with_switches(responsibility > 0.5)
    wide = _variance(density, draws)
    if not wide.isfinite():
        return 1.0
    points, heights = polish(known, *ascend(known, centre[None]))
    sampled = sample_modes(known, points, inverse_curvature(known, points), heights, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    index = torch.multinomial(sampled.weights, _DRAWS, replacement=True, generator=generator)
    factor = (wide / _variance(known, sampled.points[index])).sqrt()
    return float(factor) if factor.isfinite() else 1.0


def _variance(density: LogPosterior, free: Tensor) -> Tensor:
    """Return the variance of the clean means at some points, added up over a few rows, ()."""
    return density.clean_means(free, most=_ROWS).var(0).sum()
