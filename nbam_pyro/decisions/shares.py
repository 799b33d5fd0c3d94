"""Intervals of the share of all data, from a sample of verified ones."""

import math

import numpy as np

__all__ = ["counted", "small_share", "unseen"]

# Data with a responsibility below this look certainly clean.
_SMALL = 0.05
# Both parameters of the beta prior of a share whose posterior median is about the observed share.
_NEUTRAL = 1 / 3


def counted(z: np.ndarray, w: np.ndarray, rows: int, tail: float) -> tuple[float, float]:
    """Return the interval of the share from counts: those verified, and a beta-binomial rest.

    Args:
        z: Verified switches, (n,).
        w: One divided by the inclusion probability, (n,).
        rows: Number of all data.
        tail: Probability on each side of the interval.
    """
    from scipy import stats

    size = w.sum() ** 2 / (w @ w)  # number of equally weighted data that say as much
    wrong = size * (w @ z) / w.sum()
    rest = stats.betabinom(rows - len(z), wrong + 0.5, size - wrong + 0.5)
    low, high = (z.sum() + rest.ppf([tail, 1 - tail])) / rows
    return float(low), float(high)


def small_share(mean: float, variance: float, n: int, tail: float) -> tuple[float, float]:
    """Return the interval of a share with an estimate and a variance, also where it is small.

    Args:
        mean: Estimate of the share.
        variance: Variance of the estimate.
        n: Number of verified data.
        tail: Probability on each side of the interval.
    """
    from scipy import stats

    inside = min(max(mean, 1 / (10 * n)), 1 - 1 / (10 * n))
    if variance <= 0:
        return mean, mean
    # A Student-t variate is wider than a Normal one.
    wider = stats.t.ppf(1 - tail, n - 1) / stats.norm.ppf(1 - tail)
    size = inside * (1 - inside) / (variance * wider**2)
    low = stats.beta.ppf(tail, inside * size + 0.5, (1 - inside) * size + 0.5)
    high = stats.beta.ppf(1 - tail, inside * size + 0.5, (1 - inside) * size + 0.5)
    return float(low), float(high)


def unseen(r: np.ndarray, z: np.ndarray, w: np.ndarray, variance: np.ndarray, tail: float) -> float:
    """Return how far above its estimate a share can be, if few data that look clean were verified.

    The share is the sum of two parts: contaminated data that look certainly clean, and the others.
    The limit of the first part is that of a binomial share, also if no such datum was seen. The
    limit of the second is that of a Normal distribution. The distances of both limits from their
    estimates are added as squares (Zou & Donner 2008).

    Args:
        r: Responsibilities of the verified data, (n,).
        z: Their switches, (n,).
        w: One divided by their inclusion probability, (n,).
        variance: Terms of the variance of the share, one per verified datum, (n,).
        tail: Probability above the limit.
    """
    from scipy import stats

    here = r < _SMALL
    others = stats.t.ppf(1 - tail, len(r) - 1) * math.sqrt(variance[~here].sum())
    if not here.any():
        return float(others)
    total, own = w[here].sum(), z[here]
    size = total**2 / (w[here] @ w[here])  # number of equally weighted data that say as much
    share = w[here] @ own / total
    limit = stats.beta.ppf(1 - tail, size * share + _NEUTRAL, size * (1 - share) + _NEUTRAL)
    sampled = math.sqrt(max(0.0, 1 - here.sum() / total))  # 0 if all such data were verified
    first = max(0.0, limit - share) * total / w.sum() * sampled
    return math.hypot(first, others)
