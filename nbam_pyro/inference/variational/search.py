"""Search for the modes of a posterior, from many starting points."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from nbam_pyro.inference.variational.ascent import ascend, inverse_curvature, polish
from nbam_pyro.inference.variational.mixture import Sampled, sample_modes
from nbam_pyro.inference.variational.modes_guide import ModesGuide
from nbam_pyro.inference.variational.peak import Peak
from nbam_pyro.inference.variational.space import LogPosterior, Space, prior_draw
from nbam_pyro.inference.variational.widening import widening
from nbam_pyro.models import Story
from nbam_pyro.training.rows import Batch

__all__ = ["Found", "search_modes"]

# Rows that starting values are computed from, and rows by which they are screened.
_ROWS, _SCREENING = 2000, 500
# Starts from the prior.
_PRIOR_STARTS = 16
# Starts that are kept after the first screening and after a short ascent, and its iterations.
_FIRST, _SECOND, _SHORT = 60, 16, 20
# Two points are the same if the log marginals of rows differ by less than this on average.
_SAME_AT_FIRST, _SAME = 0.15, 0.02
# Modes whose Laplace evidence is worse than the best by more than this are dropped, in nats.
_WORSE = 10.0
# Largest number of searches. Another follows if a draw is higher than all modes by more nats than
# this; so many of the highest are followed.
_SEARCHES, _ABOVE, _FOLLOWED = 3, 2.0, 3
# Modes with less weight than this are not kept.
_LIGHT = 0.005


@dataclass(frozen=True)
class Found:
    """Result of a search for modes.

    Attributes:
        guide: Posterior of the global latents.
        peaks: All modes before the comparison of their evidence.
        widening: Function that returns the factor by which unknown switches widen the posterior of
            the clean means. It takes about as long as the search.
    """

    guide: ModesGuide
    peaks: list[Peak]
    widening: Callable[[], float]


def search_modes(story: Story, rows: Batch, *, most: int, draws: int, seed: int) -> Found | None:
    """Find the modes of the posterior of the global latents, and their probabilities.

    Many starts, from the prior and from `Story.starts`, are screened by their log posterior
    density. The best different ones are optimised side by side. Starts that end in the same mode
    are merged, and the modes whose evidence is clearly worse than the best are dropped. Draws from
    Student-t distributions around all modes, weighted by the exact posterior density, give the
    probability of each mode.

    Args:
        story: Story whose networks, if it has any, do not change.
        rows: All rows.
        most: Largest number of modes to keep.
        draws: Number of draws of the guide.
        seed: Seed of starts and draws.

    Returns:
        What was found; None if the story has no global latents.
    """
    space = Space.of(story, rows.x[:8], rows.y[:8])
    if not space.size:
        return None
    density = LogPosterior(story, space, rows)
    points = _screened(density.thinned(_SCREENING, seed=seed), _starts(density, seed))
    for left in reversed(range(_SEARCHES)):
        points, heights = ascend(density, points)
        points, heights, covariances = _peaks(density, points, heights)
        evidence = heights + 0.5 * torch.logdet(covariances)
        best = evidence.argsort(descending=True)[:most]
        best = best[evidence[best] > evidence.max() - _WORSE]
        found = sample_modes(density, points[best], covariances[best], heights[best], seed=seed)
        higher = _higher(found, heights)
        if not left or not len(higher):
            break
        points = torch.cat([points, higher])
    peaks = [
        Peak(float(one), r.numpy())
        for one, r in zip(evidence, density.responsibilities(points), strict=True)
    ]
    guide = _guide(space, points[best], found, count=draws, seed=seed)
    return Found(guide, peaks, partial(widening, density, guide.centres[0], guide.free, seed=seed))


def _higher(found: Sampled, heights: Tensor) -> Tensor:
    """Return a few draws with a much higher density than all modes, which the search has missed."""
    best = found.values.argsort(descending=True)[:_FOLLOWED]
    return found.points[best[found.values[best] > heights.max() + _ABOVE]]


def _peaks(density: LogPosterior, points: Tensor, heights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return different modes, their log densities and inverse curvatures."""
    kept = _different(density.log_marginals(points), heights, limit=_SECOND, same=_SAME)
    points, heights = polish(density, points[kept], heights[kept])
    kept = _different(density.log_marginals(points), heights, limit=_SECOND, same=_SAME)
    points, heights = points[kept], heights[kept]
    return points, heights, inverse_curvature(density, points)


def _starts(density: LogPosterior, seed: int) -> Tensor:
    """Return free coordinates of all starting values, (S, D)."""
    story: Story = density.story
    x, y = density.rows.x[:2], density.rows.y[:2]
    with torch.no_grad():
        prior = [prior_draw(story, x, y) for _ in range(_PRIOR_STARTS)]
    means = {} if story.closed_form is None else story.closed_form.prior_means()
    rows = density.rows
    if len(rows.y) > _ROWS:
        generator = torch.Generator().manual_seed(seed)
        chosen = torch.randperm(len(rows.y), generator=generator)[:_ROWS]
        rows = rows._replace(x=rows.x[chosen], y=rows.y[chosen])
    fallback = means or prior[0]
    with torch.no_grad():
        given = [fallback | dict(one) for one in story.starts(rows.x, rows.y, seed=seed)]
        every = [*([means] if means else []), *given, *prior]
        stacked = {name: torch.stack([one[name] for one in every]) for name in fallback}
        free = density.space.free(stacked)
    return free[free.isfinite().all(1)]


def _screened(density: LogPosterior, starts: Tensor) -> Tensor:
    """Return the best different starts after a short ascent."""
    with torch.no_grad():
        values = density(starts)
    first = values.argsort(descending=True)[: 20 * _FIRST]
    starts, values = starts[first], values[first]
    kept = _different(density.log_marginals(starts), values, limit=_FIRST, same=_SAME_AT_FIRST)
    points, values = ascend(density, starts[kept], iterations=_SHORT)
    kept = _different(density.log_marginals(points), values, limit=_SECOND, same=_SAME)
    return points[kept]


def _different(marginals: Tensor, values: Tensor, *, limit: int, same: float) -> Tensor:
    """Return the indices of the best points that differ from each other, the best first.

    Args:
        marginals: Log marginals of rows at each point, (S, N).
        values: Log density of each point, (S,).
        limit: Largest number of points to return.
        same: Threshold. Two points are the same if their log marginals differ by less than this on
            average.
    """
    chosen: list[int] = []
    open_ = values.isfinite()
    for number in values.argsort(descending=True).tolist():
        if not open_[number]:
            continue
        chosen.append(number)
        if len(chosen) == limit:
            break
        open_ &= (marginals - marginals[number]).abs().mean(1) > same
    return torch.tensor(chosen)


def _guide(space: Space, points: Tensor, found: Sampled, *, count: int, seed: int) -> ModesGuide:
    """Return a guide of evenly weighted draws; the mode with the largest weight is first."""
    weights = found.weights @ found.of_mode
    order = weights.argsort(descending=True)
    order = order[weights[order] > _LIGHT]
    of_mode = found.of_mode[:, order]
    generator = torch.Generator().manual_seed(seed)
    places = (torch.arange(count) + torch.rand((), generator=generator)) / count
    kept = found.weights * of_mode.sum(1)
    index = torch.searchsorted((kept / kept.sum()).cumsum(0), places.double())
    index = index.clamp_max(len(kept) - 1)
    mode = torch.multinomial(of_mode[index], 1, generator=generator)[:, 0]
    return ModesGuide(
        space,
        free=found.points[index],
        mode=mode,
        centres=points[order],
        weights=weights[order] / weights[order].sum(),
        k_hat=torch.tensor(float("nan") if found.k_hat is None else found.k_hat),
    )
