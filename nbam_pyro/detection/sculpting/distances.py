"""Distances between the nuisance of selected rows and that of other background rows."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import rel_entr

from nbam_pyro.checks.weights import effective_rows
from nbam_pyro.detection.sculpting.figure import Sculpting
from nbam_pyro.detection.sculpting.rows import selection
from nbam_pyro.errors import DataError
from nbam_pyro.models.likelihoods.component import check_whole

__all__ = ["jensen_shannon", "wasserstein"]

# Number of random selections whose mean distance is the floor of the Wasserstein distance.
_DRAWS = 20


def jensen_shannon(
    nuisance: ArrayLike,
    passed: ArrayLike,
    *,
    against: Literal["failed", "all"] = "failed",
    bins: int = 50,
    spacing: Literal["count", "width"] = "count",
    weights: ArrayLike | None = None,
) -> Sculpting:
    r"""Return the Jensen-Shannon divergence of a nuisance between two sets of background rows.

    .. math::
        \mathrm{JSD}(p, q) = \tfrac12 \sum_b p_b \log_2 \frac{p_b}{m_b} +
        \tfrac12 \sum_b q_b \log_2 \frac{q_b}{m_b}, \qquad m = \tfrac12 (p + q)

    Here p is the histogram of the nuisance of rows that pass the selection, and q that of rows that
    fail (or of all rows). The value is in [0, 1]; 0 means that the selection does not depend on the
    nuisance. For rows from equal distributions its mean is about
    (B - 1) / (8 log 2) * (1/n_p + 1/n_q), the floor, with B bins and n rows on each side; against
    all rows, the sign of the second term is negative.

    Args:
        nuisance: Nuisance of background rows, (N,).
        passed: Booleans that mark the rows that pass the selection, (N,).
        against: "failed" compares rows that pass with rows that fail, "all" with all rows.
        bins: Number of bins B. Bins of equal edges are joined.
        spacing: "count" for bins with equal numbers of rows, "width" for bins of equal width.
        weights: Weights of the rows, such as 1 - r with the responsibility r of each row for being
            an anomaly, (N,). None for weights of 1.

    Raises:
        DataError: No row passes or no row fails, shapes differ, a number is not finite, or a
            setting is not allowed.

    Example:
        >>> mass = np.arange(1000.0)
        >>> print(jensen_shannon(mass, mass > 500, bins=10))
        0.992 (floor 0.006)
        >>> print(jensen_shannon(mass, np.arange(1000) % 2 == 0, bins=10))
        0.000 (floor 0.006)
    """
    u, mask, w = selection(nuisance, passed, weights)
    check_whole("bins", bins, least=2)
    if against not in ("failed", "all"):
        raise DataError(f"against is {against!r}; give 'failed' or 'all'.")
    if spacing not in ("count", "width"):
        raise DataError(f"spacing is {spacing!r}; give 'count' or 'width'.")
    points = np.linspace(0, 1, bins + 1)
    edges = (
        np.unique(np.quantile(u, points))
        if spacing == "count"
        else u.min() + points * (u.max() - u.min())
    )
    if len(edges) < 2 or edges[0] == edges[-1]:
        raise DataError("The nuisance has the same value in all rows. Leave it out.")
    other = ~mask if against == "failed" else np.ones_like(mask)
    p, q = (np.histogram(u[rows], edges, weights=w[rows])[0] for rows in (mask, other))
    one, two = 1 / effective_rows(w[mask]), 1 / effective_rows(w[other])
    spread = one + two if against == "failed" else one - two
    floor = (len(edges) - 2) / (8 * np.log(2)) * spread
    p, q = p / p.sum(), q / q.sum()
    middle = (p + q) / 2
    # Rounding can make the divergence of equal distributions slightly negative.
    value = (rel_entr(p, middle) + rel_entr(q, middle)).sum() / (2 * np.log(2))
    return Sculpting(value=max(0.0, float(value)), floor=float(floor))


def wasserstein(
    nuisance: ArrayLike, passed: ArrayLike, *, weights: ArrayLike | None = None, seed: int = 0
) -> Sculpting:
    r"""Return the 2-Wasserstein distance of a nuisance between selected and all background rows.

    .. math:: W_2^2 = \int_0^1 \big( F_p^{-1}(t) - F_q^{-1}(t) \big)^2 dt

    F_p is the distribution function of the nuisance of rows that pass the selection, and F_q that
    of all rows. The distance has the unit of the nuisance. The floor is the mean distance of random
    selections of as many rows.

    Args:
        nuisance: Nuisance of background rows, (N,).
        passed: Booleans that mark the rows that pass the selection, (N,).
        weights: Weights of the rows, such as 1 - r with the responsibility r of each row for being
            an anomaly, (N,). None for weights of 1.
        seed: Seed of the random selections.

    Raises:
        DataError: No row passes or no row fails, shapes differ, or a number is not finite.

    Example:
        >>> mass = np.arange(1000.0)
        >>> print(wasserstein(mass, mass >= 500))
        288.675 (floor 12.157)
    """
    u, mask, w = selection(nuisance, passed, weights)
    order = np.argsort(u, kind="stable")
    u, mask, w = u[order], mask[order], w[order]
    rng = np.random.default_rng(seed)
    draws = [_distance(u, rng.permutation(mask), w) for _ in range(_DRAWS)]
    return Sculpting(value=_distance(u, mask, w), floor=float(np.mean(draws)))


def _distance(u: np.ndarray, mask: np.ndarray, w: np.ndarray) -> float:
    """Return the 2-Wasserstein distance of sorted values to those that a mask selects."""
    heights = np.cumsum(w) / w.sum()
    selected = np.cumsum(w * mask) / (w * mask).sum()
    steps = np.union1d(heights, selected)
    middles = np.diff(steps, prepend=0.0) / 2
    at = steps - middles
    last = len(u) - 1
    one, other = (u[np.minimum(np.searchsorted(f, at), last)] for f in (selected, heights))
    return float(np.sqrt((2 * middles * np.square(one - other)).sum()))
