"""Forward and backward recursions over rows, for many pairs of share and dwell at once.

`nbam_pyro.functional` has the same mathematics as a tree over rows. A recursion over rows is faster
where it is evaluated for hundreds of parameters, because every step is one operation for all of
them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from nbam_pyro.outputs.series.rows import SeriesRows

__all__ = ["Smoothed", "log_density", "smoothed"]

_TINY = np.finfo(float).tiny
# Number of drawn paths that are kept.
_PATHS = 30


@dataclass(frozen=True, kw_only=True)
class Smoothed:
    """Posterior of the switches, averaged over parameters.

    Attributes:
        responsibility: P(z_t = 1 | whole series), (N,).
        filtered: P(z_t = 1 | rows up to t), (N,).
        share: Share of contaminated rows in a path drawn for each parameter, (S,).
        bursts: Number of bursts in the path drawn for each parameter, (S,).
        paths: Some of these paths, (P, N) booleans.
    """

    responsibility: np.ndarray
    filtered: np.ndarray
    share: np.ndarray
    bursts: np.ndarray
    paths: np.ndarray


def log_density(rows: SeriesRows, contamination: np.ndarray, dwell: np.ndarray) -> np.ndarray:
    """Return the log density of all rows for each pair of share and dwell, (G,).

    Args:
        rows: Sorted rows. Emissions are (N, 2), or (N, G, 2) if each pair has its own.
        contamination: Shares of contaminated rows, (G,).
        dwell: Dwells in usual steps, (G,).
    """
    total = np.zeros_like(contamination)
    for before, w0, w1 in _steps(rows, contamination, dwell):
        seen = before * w1
        weight = np.maximum(seen + (1 - before) * w0, _TINY)
        total += np.log(weight)
        np.divide(seen, weight, out=before)
    return total + rows.emissions.max(-1).sum(0)


def smoothed(
    rows: SeriesRows, contamination: np.ndarray, dwell: np.ndarray, *, rng: np.random.Generator
) -> Smoothed:
    """Return posteriors of the switches, averaged over draws of share and dwell.

    Args:
        rows: Sorted rows.
        contamination: Draws of the share of contaminated rows, (S,).
        dwell: Draws of the dwell in usual steps, (S,).
        rng: Random number generator of the drawn paths.
    """
    count, draws = len(rows.first), len(contamination)
    seen = np.empty((count, draws))
    for t, (before, w0, w1) in enumerate(_steps(rows, contamination, dwell)):
        after = before * w1
        after /= np.maximum(after + (1 - before) * w0, _TINY)
        seen[t] = before[:] = after
    kept = 1 - 1 / (dwell * (1 - contamination))
    r, path = seen[-1].copy(), rng.random(draws) < seen[-1]
    mean = np.empty(count)
    total, bursts = np.zeros(draws), np.zeros(draws)
    some = np.linspace(0, draws - 1, min(draws, _PATHS)).astype(int)
    paths = np.empty((len(some), count), dtype=bool)
    for t in range(count - 1, -1, -1):
        if t + 1 < count:
            if rows.first[t + 1]:
                r, path = seen[t].copy(), rng.random(draws) < seen[t]
            else:
                stays = _power(kept, rows.steps[t + 1])
                entered = contamination * (1 - stays)
                left = (1 - contamination) * (1 - stays)
                now = seen[t]
                # P(z_t = 1 | z_{t+1} = 1, y_1..t) and P(z_t = 1 | z_{t+1} = 0, y_1..t)
                one, zero = now * (1 - left), now * left
                one /= np.maximum(one + (1 - now) * entered, _TINY)
                zero /= np.maximum(zero + (1 - now) * (1 - entered), _TINY)
                r = r * one + (1 - r) * zero
                later, path = path, rng.random(draws) < np.where(path, one, zero)
                bursts += later & ~path
        if rows.first[t]:
            bursts += path
        mean[t] = r.mean()
        total += path
        paths[:, t] = path[some]
    certain = np.where(rows.codes >= 0, rows.codes, mean)
    return Smoothed(
        responsibility=certain,
        filtered=np.where(rows.codes >= 0, rows.codes, seen.mean(-1)),
        share=total / count,
        bursts=bursts,
        paths=paths,
    )


def _steps(
    rows: SeriesRows, contamination: np.ndarray, dwell: np.ndarray
) -> Iterator[tuple[np.ndarray, Any, Any]]:
    """Yield P(z_t = 1 | earlier rows) and the relative likelihoods of both states, row by row.

    The caller overwrites the probabilities with those given the row itself.
    """
    weights = np.exp(rows.emissions - rows.emissions.max(-1, keepdims=True))
    pairs = weights.tolist() if weights.ndim == 2 else np.moveaxis(weights, -1, 1)
    kept = 1 - 1 / (dwell * (1 - contamination))
    now = contamination.copy()
    for first, step, (w0, w1) in zip(rows.first.tolist(), rows.steps.tolist(), pairs, strict=True):
        if first:
            now[:] = contamination
        else:
            stays = kept if step == 1 else _power(kept, step)
            # P(z_t = 1) = pi + lambda^s (P(z_{t-1} = 1) - pi)
            now -= contamination
            now *= stays
            now += contamination
        yield now, w0, w1


def _power(kept: np.ndarray, step: float) -> np.ndarray:
    return kept if step == 1 else np.sign(kept) ** step * abs(kept) ** step
