"""The classes of rows whose given classes may be wrong, as latent variables."""

from typing import NamedTuple

import numpy as np
from scipy.special import softmax

from nbam_pyro.detection.mahalanobis import Mahalanobis

__all__ = ["LatentClasses", "latent_classes", "parts"]

_ROUNDS = 100
# Rounds end when no probability changes by more than this.
_STILL = 1e-3
# Share of wrong classes with which the rounds begin.
_START = 0.1
# Smaller probabilities of a class do not count.
_LEAST = 1e-6


class LatentClasses(NamedTuple):
    """Probabilities of the classes of rows.

    Attributes:
        probabilities: Probability of each class, (N, K).
        transition: Probability of each given class (column) by true class (row), (K, K). None if
            the given classes are taken as right.
    """

    probabilities: np.ndarray
    transition: np.ndarray | None

    @classmethod
    def given(cls, codes: np.ndarray, count: int) -> "LatentClasses":
        """Return the given classes with probabilities of 1.

        Args:
            codes: Position of the class of each row, (N,).
            count: Number of classes K.
        """
        return cls(np.eye(count)[codes], None)


def latent_classes(r: np.ndarray, codes: np.ndarray, weights: np.ndarray) -> LatentClasses:
    r"""Return the probabilities of the true classes of rows, of which some are given wrongly.

    .. math:: p(r, y) = \sum_k \pi_k N(r; \mu_k, \Sigma) M_{ky}

    The true class k has a Gaussian with the covariance that all classes share, and is given as
    class y with probability M_ky. All parameters are weighted maximum likelihood estimates, by EM.
    The rounds begin with the given classes.

    Args:
        r: Rows of the representation, (N, D).
        codes: Position of the given class of each row, (N,). Each of the K classes occurs.
        weights: Weights of the rows, (N,).

    Source: Lawrence & Schölkopf, "Estimating a Kernel Fisher Discriminant in the Presence of Label
    Noise" (ICML 2001).

    Example:
        >>> rng = np.random.default_rng(0)
        >>> true = rng.integers(0, 2, 1000)
        >>> codes = np.where(rng.random(1000) < 0.2, 1 - true, true)
        >>> r = 6.0 * true[:, None] + rng.normal(size=(1000, 2))
        >>> found = latent_classes(r, codes, np.ones(1000))
        >>> bool((found.probabilities.argmax(1) == true).mean() > 0.99)
        True
        >>> found.transition.round(1)
        array([[0.8, 0.2],
               [0.2, 0.8]])
    """
    count = codes.max() + 1
    p = np.eye(count)[codes]
    transition = (1 - _START) * np.eye(count) + _START / count
    for _ in range(_ROUNDS):
        rows, k = parts(p)
        statistic = Mahalanobis(r[rows], k, weights=weights[rows] * p[rows, k])
        shares = weights @ p / weights.sum()
        logits = np.log(shares) - 0.5 * statistic.distances(r) + np.log(transition[:, codes].T)
        before, p = p, softmax(logits, axis=1)
        joint = np.stack([weights[codes == y] @ p[codes == y] for y in range(count)], 1)
        transition = (joint + 1) / (joint + 1).sum(1, keepdims=True)
        if np.abs(p - before).max() < _STILL:
            break
    return LatentClasses(p, transition)


def parts(probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return all pairs of a row and a class that it may have, as two arrays of indices.

    Args:
        probabilities: Probability of each class, (N, K).
    """
    rows, k = np.nonzero(probabilities > _LEAST)
    return rows, k
