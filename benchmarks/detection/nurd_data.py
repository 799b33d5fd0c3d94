"""Simulated rows with classes and nuisances, with exact results for linear rules."""

import numpy as np
from scipy.stats import norm

__all__ = ["EXACT_A", "EXACT_B", "auroc_of_max_logit", "max_logits", "synthetic_a", "synthetic_b"]

Labelled = tuple[np.ndarray, np.ndarray, np.ndarray]

# Accuracy of x1 + x2 = 2y + 3 e1 + 0.1 e2 at any dependence on the nuisance.
EXACT_A = float(norm.cdf(1 / np.sqrt(9.01)))
EXACT_B = float(norm.cdf(np.sqrt(2)))


def synthetic_a(count: int, a: float, rng: np.random.Generator) -> Labelled:
    """Return rows, classes and nuisances of the published continuous example.

    y is 0 or 1, the nuisance is u ~ N(a (2y - 1), 1), x1 = y - u + 3 e1 and x2 = y + u + 0.1 e2.

    Args:
        count: Number of rows.
        a: Dependence of the nuisance on the class, 0.5 in training.
        rng: Generator of random numbers.
    """
    y = rng.integers(0, 2, count)
    u = a * (2 * y - 1) + rng.normal(size=count)
    noise = rng.normal(size=(count, 2)) * [3, 0.1]
    return np.c_[y - u, y + u] + noise, y, u


def synthetic_b(count: int, rho: float, rng: np.random.Generator) -> Labelled:
    """Return rows of two classes with a binary nuisance, x ~ N((y - u, y + u), diag(1.5, 0.5)).

    Args:
        count: Number of rows.
        rho: Probability that class and nuisance are equal.
        rng: Generator of random numbers.
    """
    y = rng.integers(0, 2, count)
    u = np.where(rng.random(count) < rho, y, 1 - y)
    signs = 2 * np.c_[y, u] - 1
    means = np.c_[signs[:, 0] - signs[:, 1], signs.sum(1)]
    return means + rng.normal(size=(count, 2)) * np.sqrt([1.5, 0.5]), y, u


def max_logits(
    count: int, mu: float, rho: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return minus the maximum logit of normal rows and of anomalies with shared nuisances.

    The semantic variable is s ~ N(mu y, 1) with y = -1 or 1, and N(0, 1) for anomalies. The
    nuisance adds L = log(rho / (1 - rho)) times -1 or 1 to the logit 2 mu s of the best classifier.

    Args:
        count: Number of rows of each kind.
        mu: Distance of the classes from 0.
        rho: Probability in training that class and nuisance are equal.
        rng: Generator of random numbers.
    """
    y, u, v = 2 * rng.integers(0, 2, (3, count)) - 1
    noise, odd = rng.normal(size=(2, count))
    shift = np.log(rho / (1 - rho))
    return -np.abs(2 * mu * (mu * y + noise) + shift * u), -np.abs(2 * mu * odd + shift * v)


def auroc_of_max_logit(mu: float, rho: float) -> float:
    """Return the exact AUROC of `max_logits`, by integration over the logit of anomalies.

    Args:
        mu: Distance of the classes from 0.
        rho: Probability in training that class and nuisance are equal.
    """
    shift, width = np.log(rho / (1 - rho)), 2 * mu
    t = np.linspace(0, shift + width * (mu + 9), 200_001)
    below = [
        norm.cdf(t, centre + sign * shift, width) - norm.cdf(-t, centre + sign * shift, width)
        for centre in (0.0, width * mu)
        for sign in (-1, 1)
    ]
    anomalous, normal = np.mean(below[:2], axis=0), np.mean(below[2:], axis=0)
    return float(((1 - (normal[1:] + normal[:-1]) / 2) * np.diff(anomalous)).sum())
