"""Lone scores: a few scores that lie far above all others, beyond a wide gap."""

import math
from dataclasses import dataclass

import numpy as np

from nbam_pyro.outputs.wording.parts import FEWEST

__all__ = ["Lone", "lone_scores"]

# At most this many rows, and this share of the rows, are lone. A larger group is a second part.
_MOST, _SHARE = 20, 0.1
# The tail of the other scores: this share of them, between these numbers of rows, and at most half.
_TAIL, _LEAST_TAIL, _MOST_TAIL = 0.2, 20, 100
# Normal prior (mean, standard deviation) of the tail index: 0 for exponential tails, 1/3 for those
# of a Student t distribution with three degrees of freedom.
_INDEX = (0.2, 0.2)
_INDICES = np.linspace(-0.5, 1.2, 35)[:, None, None]
_INDICES = np.where(abs(_INDICES) < 1e-6, 1e-6, _INDICES)
# Scales of the tail, in units of its mean.
_SCALES = np.geomspace(0.1, 10, 41)[None, :, None]
# Gaps that the tail makes with a higher probability are not remarkable.
_RARE = 0.05
# Prior probability that there are lone anomalies: that of a second part in `fitting.py`.
_PRIOR = 0.08
# Log probability of the impossible, and the largest ratio of scores, against overflow.
_NEVER, _LARGEST = -1e9, 1e100
_SMALLEST = 1e-300


@dataclass(frozen=True, kw_only=True)
class Lone:
    """Scores that lie far above all others.

    Attributes:
        count: Number of these rows; 0 if there are none.
        probability: Probability that they are anomalies, and not the tail of the other scores.
    """

    count: int = 0
    probability: float = 0.0


def lone_scores(scores: np.ndarray) -> Lone:
    r"""Find the highest scores that a gap separates from all others.

    The k highest scores are candidates if the gap below them is wider than the whole tail of the
    other scores: the highest fifth of these. The tail above its start u is a generalised Pareto
    distribution with an unknown index and scale, and S is its probability of a higher score. With
    M, the highest score of the others, and L, the lowest of the candidates,

    .. math:: p = k (k + 1)\, E\left[\left(\frac{S(L)}{S(M)}\right)^k \Big|\, \text{others}\right]

    is the probability that the tail makes such a gap, corrected for the choice of k. A heavy tail
    of the others makes wide gaps likely. Evidence for lone anomalies is at most
    :math:`-1 / (e\, p \log p)`, and the probability of lone anomalies follows from this value.

    Args:
        scores: Finite scores, (N,).

    Source: Pickands (1975), for the distribution of tails; Sellke, Bayarri & Berger (2001), for the
    evidence.

    Example:
        >>> normal = np.random.default_rng(0).normal(size=299)
        >>> lone_scores(normal).count, lone_scores(np.r_[normal, 60.0]).count
        (0, 1)
    """
    ordered = np.sort(scores / (abs(scores).max() or 1.0))
    if len(np.unique(ordered)) < FEWEST:
        return Lone()
    most = min(_MOST, int(_SHARE * len(ordered)))
    rarity = {k: k * (k + 1) * _gap_probability(ordered, k) for k in range(1, most + 1)}
    k = min(rarity, key=lambda one: rarity[one], default=0)
    if not k or rarity[k] > _RARE:
        return Lone()
    p = max(rarity[k], _SMALLEST)
    odds = _PRIOR / (1 - _PRIOR) / (-math.e * p * math.log(p))
    return Lone(count=k, probability=odds / (1 + odds) if odds < _LARGEST else 1.0)


def _gap_probability(ordered: np.ndarray, k: int) -> float:
    """Return the probability of a gap at least as wide; 1 for a gap below that of candidates."""
    others, lowest = ordered[:-k], ordered[-k]
    size = int(min(np.clip(_TAIL * len(others), _LEAST_TAIL, _MOST_TAIL), len(others) // 2))
    start, highest = others[-size - 1], others[-1]
    if highest <= start or lowest - highest <= highest - start:
        return 1.0
    tail = others[-size:] - start
    unit = tail.mean()
    inside, far = tail / unit, min((lowest - start) / unit, _LARGEST)
    above = _log_above(inside[-1])
    density = _log_above(inside) * (1 + _INDICES) - np.log(_SCALES)
    mean, width = _INDEX
    log_weight = density.sum(2, keepdims=True) + k * above - ((_INDICES - mean) / width) ** 2 / 2
    weight = np.exp(log_weight - log_weight.max())
    ratio = np.exp(k * np.minimum(_log_above(far) - above, 0))
    return float((weight * ratio).sum() / weight.sum())


def _log_above(x: np.ndarray | float) -> np.ndarray:
    """Log probability of a value above x at each index and scale, (M,) -> (I, J, M)."""
    base = 1 + _INDICES * x / _SCALES
    return np.where(base > 0, -np.log(np.maximum(base, _SMALLEST)) / _INDICES, _NEVER)
