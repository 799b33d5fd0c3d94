"""Rows and detectors that the tests of detection share."""

import numpy as np

from nbam_pyro.detection import (
    AnomalyDetector,
    AutoEncoder,
    DeepSVDD,
    GaussianMixture,
    InternalContrast,
    NeuralTransformations,
)

TABULAR = [NeuralTransformations, InternalContrast, DeepSVDD, AutoEncoder, GaussianMixture]


def rows(n=160, share=0.1, seed=0):
    """Rows on a plane in five dimensions, and some that are not on it."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2)) @ rng.normal(size=(2, 5)) + 0.05 * rng.normal(size=(n, 5))
    odd = np.arange(n) < round(share * n)
    x[odd] = rng.normal(size=(odd.sum(), 5)) * 1.5
    return x.astype(np.float32), odd


def stuck(count=24, rows=200, columns=4):
    """Normal rows and identical far ones, as a sensor that is stuck writes them."""
    x = np.random.default_rng(0).normal(size=(rows, columns))
    x[:count] = 6.0
    return x


def contaminated(rows=150, columns=5):
    x = np.random.default_rng(0).normal(size=(rows, columns))
    x[:12] += 7
    return x


def quick(backbone, **settings):
    return AnomalyDetector(backbone, **{"epochs": 5, "random_state": 0} | settings)
