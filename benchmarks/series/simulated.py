"""Simulated series of a Markov switch, and the posterior of its switches with known parameters."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import norm

from nbam_pyro import functional as nf

__all__ = ["SHARE", "SHIFT", "Simulated", "known_responsibility", "simulated"]

SHARE, SHIFT = 0.2, 1.5
"""Share of contaminated rows, and mean of contaminated measurements; clean ones are N(0, 1)."""


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """One series.

    Attributes:
        z: Switches, (T,).
        y: Measurements, (T,).
        dwell: Mean length of a burst.
    """

    z: np.ndarray
    y: np.ndarray
    dwell: float


def simulated(rows: int, dwell: float, *, seed: int) -> Simulated:
    """Draw a series.

    Args:
        rows: Number of rows, T.
        dwell: Mean length of a burst.
        seed: Seed for all draws.
    """
    rng = np.random.default_rng(seed)
    entered, left = SHARE / (dwell * (1 - SHARE)), 1 / dwell
    u, z = rng.random(rows), np.zeros(rows, dtype=int)
    z[0] = u[0] < SHARE
    for t in range(1, rows):
        z[t] = u[t] >= left if z[t - 1] else u[t] < entered
    return Simulated(z=z, y=rng.normal(SHIFT * z), dwell=dwell)


def known_responsibility(one: Simulated) -> np.ndarray:
    """Return P(z_t = 1 | y) given the parameters that drew the series, (T,).

    Args:
        one: Series.
    """
    share = torch.tensor(SHARE, dtype=torch.double)
    dwell = torch.tensor(one.dwell, dtype=torch.double)
    e = torch.from_numpy(np.stack([norm.logpdf(one.y), norm.logpdf(one.y, SHIFT)], -1))
    moves = nf.chain_transitions(share, dwell)
    return nf.chain_responsibility(nf.chain_start(share), moves, e).numpy()
