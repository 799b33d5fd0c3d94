"""Rows like jets: three backgrounds with a mass as the nuisance, and signals at three masses."""

from dataclasses import dataclass

import numpy as np

__all__ = ["SIGNALS", "Jets", "jets"]

# Mean and standard deviation of the mass of each signal, in GeV.
SIGNALS = {60: 8.0, 120: 12.0, 250: 25.0}
# Share of W/Z and top jets whose mass is as broad as that of QCD. Without it, these classes would
# not occur at most masses, and no weights would exist.
_BROAD = 0.2
# The backgrounds lie around the signals in the plane of the substructure variables.
_MEANS = 2.5 * np.array([[0.0, 1.0], [-(0.75**0.5), -0.5], [0.75**0.5, -0.5]])
_SIGNAL = np.zeros(2)
_NOISE = 6


@dataclass(frozen=True, kw_only=True)
class Jets:
    """Training rows of three backgrounds, and test rows.

    Attributes:
        train: Rows, classes (0 for QCD, 1 for W/Z, 2 for top) and masses for training.
        background: Rows and masses of QCD for tests.
        signals: Rows of each signal by its mass.
    """

    train: tuple[np.ndarray, np.ndarray, np.ndarray]
    background: tuple[np.ndarray, np.ndarray]
    signals: dict[int, np.ndarray]


def jets(seed: int, *, rows: int = 10_000, tests: int = 20_000) -> Jets:
    """Return simulated jets.

    Args:
        seed: Seed of all random numbers.
        rows: Number of training rows.
        tests: Number of test rows of QCD. Each signal has a tenth of it.
    """
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, rows)
    mass = _masses(y, rng)
    qcd = _masses(np.zeros(tests, int), rng)
    signals = {
        centre: np.maximum(rng.normal(centre, width, tests // 10), 20.0)
        for centre, width in SIGNALS.items()
    }
    return Jets(
        train=(_features(_MEANS[y], mass, rng), y, mass),
        background=(_features(_MEANS[np.zeros(tests, int)], qcd, rng), qcd),
        signals={
            centre: _features(np.tile(_SIGNAL, (len(one), 1)), one, rng)
            for centre, one in signals.items()
        },
    )


def _masses(y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    falling = 20 + rng.exponential(80, len(y))
    centre, width = np.array([0.0, 85.0, 172.0])[y], np.array([1.0, 8.0, 15.0])[y]
    peak = (y > 0) & (rng.random(len(y)) >= _BROAD)
    return np.where(peak, np.maximum(rng.normal(centre, width), 20.0), falling)


def _features(means: np.ndarray, mass: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return two substructure variables, one that measures the mass, and five of noise, (N, 8).

    The substructure depends on the mass, and the noise has a scale that grows with it.
    """
    log = np.log(mass / 80)[:, None]
    substructure = means + np.c_[log, -0.5 * log] + 0.7 * rng.normal(size=(len(mass), 2))
    noise = np.sqrt(mass / 80)[:, None] * rng.normal(size=(len(mass), _NOISE))
    noise[:, 0] = log[:, 0] + 0.2 * rng.normal(size=len(mass))
    return np.concatenate([substructure, noise], 1)
