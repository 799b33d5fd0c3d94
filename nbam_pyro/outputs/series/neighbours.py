"""Whether neighbours are alike beyond their switches, as in a drift or in autocorrelated noise."""

import numpy as np

from nbam_pyro.outputs.series.rows import SeriesRows

__all__ = ["likeness"]


def likeness(rows: SeriesRows, paths: np.ndarray, *, values: np.ndarray | None = None) -> float:
    r"""Return how many standard errors neighbouring rows are too much alike, given their switches.

    Under the model, rows are independent given a path z that is drawn from its posterior. The
    statistic is the correlation of v_t and v_{t+1} over all pairs with equal switches, where v are
    standardised within each state, times the square root of the number of pairs. It is then about
    standard Normal. It is averaged over the paths.

    Args:
        rows: Sorted rows.
        paths: Paths drawn from the posterior, (P, N) booleans.
        values: Values v of the sorted rows, (N,), NaN where missing; None for the log ratio of both
            likelihoods.

    Returns:
        The mean statistic; 0 if there are no pairs.
    """
    if values is None:
        e = rows.emissions
        # Missing rows have log densities of 0; the infinite ones of verified rows are left out.
        with np.errstate(invalid="ignore"):
            values = np.where((e == 0).all(1), np.nan, e[:, 1] - e[:, 0])
    used = np.isfinite(values) & (rows.codes < 0)
    pairs = used[1:] & used[:-1] & ~rows.first[1:]
    return float(np.mean([_correlation(values, path, used, pairs) for path in paths]))


def _correlation(v: np.ndarray, path: np.ndarray, used: np.ndarray, pairs: np.ndarray) -> float:
    scaled = np.zeros(len(v))
    for state in (False, True):
        inside = used & (path == state)
        spread = v[inside].std() if inside.any() else 0.0
        if spread > 0:
            scaled[inside] = (v[inside] - v[inside].mean()) / spread
    same = pairs & (path[1:] == path[:-1])
    one, other = scaled[:-1][same], scaled[1:][same]
    size = np.sqrt((one**2).sum() * (other**2).sum())
    return float((one * other).sum() / size * np.sqrt(same.sum())) if size > 0 else 0.0
