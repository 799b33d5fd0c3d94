"""The posterior of share and dwell on a grid, and of the switches given it."""

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp
from scipy.stats import beta, norm

from nbam_pyro.models.priors.chains import MarkovSwitch
from nbam_pyro.outputs.series.neighbours import likeness
from nbam_pyro.outputs.series.passes import Smoothed, log_density, smoothed
from nbam_pyro.outputs.series.rows import SeriesRows

__all__ = ["ChainPosterior", "chain_posterior", "prior_draws"]

# Points along each axis of the first and of the refined grids, and number of refinements.
_COARSE, _FINE, _REFINED = 22, 30, 2
# Cells whose log density is this far below the largest are left out of the refined grid.
_NEGLIGIBLE = 12.0
# Shares and dwells outside of these ends are not considered: logits, and logs of d - 1.
_SHARES = (-10.0, 4.0)
_DWELLS = -4.0
_LINE = 400


@dataclass(frozen=True, kw_only=True)
class ChainPosterior:
    """What series say about the contamination of their rows.

    Attributes:
        contamination: Draws of the share of contaminated rows among all possible rows, (S,).
        dwell: Draws of the dwell in usual steps, (S,).
        switches: Posterior of the switches.
        persistence: Log evidence of a Markov chain minus that of independent rows, in nats.
        presence: Log evidence of a Markov chain minus the log density without contamination, in
            nats; infinite if a row is verified as contaminated.
        likeness: Number of standard errors by which neighbours are too much alike, given their
            switches (see `likeness`).
    """

    contamination: np.ndarray
    dwell: np.ndarray
    switches: Smoothed
    persistence: float
    presence: float
    likeness: float


@dataclass(frozen=True, kw_only=True)
class _Grid:
    """Points of a grid: logits of the share and logs of d - 1, and log posterior of each cell."""

    logits: np.ndarray
    excess: np.ndarray
    log: np.ndarray


def chain_posterior(
    rows: SeriesRows, switch: MarkovSwitch, *, draws: int, seed: int
) -> ChainPosterior:
    """Compute the posterior of share and dwell on a grid, and average the switches over draws.

    The first grid covers the prior and much larger dwells. Refined grids cover the cells that
    have posterior probability.

    Args:
        rows: Sorted rows.
        switch: Coupling, which gives the priors.
        draws: Number of draws of share and dwell.
        seed: Seed for all draws.
    """
    rng = np.random.default_rng(seed)
    longest = max(np.log(switch.median_dwell) + 4 * switch.spread, np.log(len(rows.first) + 1.0))
    grid = _grid(rows, switch, _SHARES, (_DWELLS, longest), _COARSE)
    for _ in range(_REFINED):
        near = grid.log > grid.log.max() - _NEGLIGIBLE
        ends = (_around(grid.logits, near.any(1)), _around(grid.excess, near.any(0)))
        grid = _grid(rows, switch, *ends, _FINE)
    share, dwell = _drawn(grid, rows, draws, rng)
    evidence = float(logsumexp(grid.log))
    clean = rows.emissions[:, 0].sum()
    switches = smoothed(rows, share, dwell, rng=rng)
    return ChainPosterior(
        contamination=share,
        dwell=dwell,
        switches=switches,
        persistence=evidence - _independent(rows, switch),
        presence=float(evidence - clean) if np.isfinite(clean) else np.inf,
        likeness=likeness(rows, switches.paths),
    )


def prior_draws(switch: MarkovSwitch, draws: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw share and dwell before the data, each (S,).

    Args:
        switch: Coupling.
        draws: Number of draws.
    """
    rng = np.random.default_rng(0)
    share = rng.beta(switch.a, switch.b, draws)
    return share, 1 + switch.median_dwell * np.exp(switch.spread * rng.normal(size=draws))


def _grid(
    rows: SeriesRows,
    switch: MarkovSwitch,
    shares: tuple[float, float],
    dwells: tuple[float, float],
    points: int,
) -> _Grid:
    """Evaluate prior times likelihood in cells of equal size; the log includes their area."""
    logits, excess = (
        np.linspace(*ends, points, endpoint=False) + (ends[1] - ends[0]) / (2 * points)
        for ends in (shares, dwells)
    )
    x, y = (one.ravel() for one in np.meshgrid(logits, excess, indexing="ij"))
    pi, dwell = 1 / (1 + np.exp(-x)), 1 + np.exp(y)
    prior = _share_prior(switch, x)
    prior += norm.logpdf(y, np.log(switch.median_dwell), switch.spread)
    possible = _possible(rows, pi, dwell)
    log = np.full(len(x), -np.inf)
    log[possible] = prior[possible] + log_density(rows, pi[possible], dwell[possible])
    area = (logits[1] - logits[0]) * (excess[1] - excess[0])
    return _Grid(logits=logits, excess=excess, log=log.reshape(points, points) + np.log(area))


def _possible(rows: SeriesRows, pi: np.ndarray, dwell: np.ndarray) -> np.ndarray:
    """Return which dwells a chain can have. Between whole steps switches cannot alternate."""
    return dwell * (1 - pi) >= (pi if rows.whole else 1.0)


def _share_prior(switch: MarkovSwitch, logits: np.ndarray) -> np.ndarray:
    """Return the log prior density of the logit of the share."""
    pi = 1 / (1 + np.exp(-logits))
    density: np.ndarray = beta.logpdf(pi, switch.a, switch.b) + np.log(pi) + np.log1p(-pi)
    return density


def _around(points: np.ndarray, kept: np.ndarray) -> tuple[float, float]:
    """Return the ends of the cells that are kept, with one more cell on each side."""
    step, places = points[1] - points[0], np.flatnonzero(kept)
    low, high = points[places[0]] - 1.5 * step, points[places[-1]] + 1.5 * step
    return float(low), float(high)


def _drawn(
    grid: _Grid, rows: SeriesRows, draws: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw share and dwell from the grid, uniformly within a cell, evenly over the cells."""
    weights = np.exp(grid.log.ravel() - logsumexp(grid.log))
    even = (np.arange(draws) + rng.random()) / draws
    cell = np.searchsorted(weights.cumsum(), even).clip(0, len(weights) - 1)
    i, j = np.unravel_index(cell, grid.log.shape)
    x, y = (
        points[at] + (points[1] - points[0]) * (rng.random(draws) - 0.5)
        for points, at in ((grid.logits, i), (grid.excess, j))
    )
    pi, dwell = 1 / (1 + np.exp(-x)), 1 + np.exp(y)
    # Within a cell at the border, a draw may be impossible.
    return pi, np.maximum(dwell, (pi if rows.whole else 1.0) / (1 - pi))


def _independent(rows: SeriesRows, switch: MarkovSwitch) -> float:
    """Return the log evidence of independent rows, with the same prior of the share."""
    logits = np.linspace(*_SHARES, _LINE)
    found = np.empty(_LINE)
    e0, e1 = rows.emissions.T
    for i, x in enumerate(logits):
        a, b = -np.logaddexp(0, x), -np.logaddexp(0, -x)
        found[i] = np.logaddexp(a + e0, b + e1).sum()
    return float(logsumexp(found + _share_prior(switch, logits)) + np.log(logits[1] - logits[0]))
