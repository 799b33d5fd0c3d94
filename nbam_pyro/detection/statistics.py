"""Test statistics of a density or a classifier, each against the out-distributions it is meant for.

No statistic is better than chance against every out-distribution: what one gains on some rows it
loses on others (Zhang, Goldstein & Ranganath 2021). So there is no default here. Every statistic
says in `against` what it is meant to find, and those that need to be told the out-distribution of
interest ask for it. All are high for rows that look anomalous.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import ArrayLike

from nbam_pyro.errors import DataError

__all__ = [
    "Density",
    "LikelihoodRatio",
    "LogLikelihood",
    "Mahalanobis",
    "MaxLogit",
    "TestStatistic",
    "Typicality",
]


class Density(Protocol):
    """What is called with rows (N, ...) and returns log densities (N,).

    `score_samples` of scikit-learn's `GaussianMixture` and `KernelDensity` is one.
    """

    def __call__(self, x: np.ndarray, /) -> ArrayLike:
        """Log densities of rows."""


class TestStatistic(ABC):
    """A number for every row, high where it looks anomalous.

    Attributes:
        against: the out-distributions that it is meant for, in words.
    """

    __test__ = False  # no test of pytest's
    against: ClassVar[str]

    @abstractmethod
    def __call__(self, x: ArrayLike) -> np.ndarray:
        """The statistic of rows (N, ...), (N,).

        Raises:
            DataError: what the density or classifier returns, or x, has another shape.
        """


class LogLikelihood(TestStatistic):
    r"""-log p(x).

    Args:
        density: log p.

    Example:
        >>> LogLikelihood(lambda x: -0.5 * x**2)([0.0, 2.0])
        array([0., 2.])
    """

    against = "rows where p is low: not rows of high density that are not typical"

    def __init__(self, density: Density) -> None:
        self.density = density

    def __call__(self, x: ArrayLike) -> np.ndarray:
        return -_values(self.density, x)


class LikelihoodRatio(TestStatistic):
    r"""log q(x) - log p(x): the most powerful test of p against q (Neyman & Pearson).

    Args:
        density: log p of normal rows.
        out: log q of the out-distribution of interest.

    Example:
        >>> ratio = LikelihoodRatio(lambda x: -0.5 * x**2, lambda x: -0.5 * (x - 2) ** 2)
        >>> ratio([0.0, 2.0])
        array([-2.,  2.])
    """

    against = "rows drawn from q, which you name; optimal there, nothing is said about others"

    def __init__(self, density: Density, out: Density) -> None:
        self.density = density
        self.out = out

    def __call__(self, x: ArrayLike) -> np.ndarray:
        return _values(self.out, x) - _values(self.density, x)


class Typicality(TestStatistic):
    r"""|log p(x) - mean log p of training rows|.

    Args:
        density: log p.
        train: rows it was fitted to, (M, ...).

    Source: Nalisnick et al. (2019), for batches of one.

    Example:
        >>> Typicality(lambda x: -0.5 * x**2, [-1.0, 1.0])([0.0, 1.0])
        array([0.5, 0. ])
    """

    against = "rows whose density is too low or too high: not atypical rows of usual density"

    def __init__(self, density: Density, train: ArrayLike) -> None:
        self.density = density
        self.usual = float(np.mean(_values(density, train)))

    def __call__(self, x: ArrayLike) -> np.ndarray:
        return np.abs(_values(self.density, x) - self.usual)


class MaxLogit(TestStatistic):
    """The highest logit of a classifier, with its sign changed.

    Args:
        classifier: maps rows (N, ...) to logits (N, K).

    Source: Hendrycks et al. (2022).

    Example:
        >>> MaxLogit(lambda x: x)([[3.0, 1.0], [0.5, 0.4]])
        array([-3. , -0.5])
    """

    against = "rows with little of what tells known classes apart: not anomalies within a class"

    def __init__(self, classifier: Callable[[np.ndarray], ArrayLike]) -> None:
        self.classifier = classifier

    def __call__(self, x: ArrayLike) -> np.ndarray:
        logits = np.asarray(self.classifier(np.asarray(x)), dtype=float)
        if logits.ndim != 2:
            raise DataError(f"The classifier returned shape {logits.shape}; it needs (N, K).")
        return -logits.max(1)


class Mahalanobis(TestStatistic):
    r"""Squared distance to the nearest class mean in units of the shared covariance.

    .. math:: \min_k (x - \mu_k)^\top \Sigma^{+} (x - \mu_k)

    With the pseudo-inverse, and directions in which no training row varies counted apart: a row
    that leaves the span of the training rows is infinitely far. `ridge` makes that finite.

    Args:
        features: of training rows, (M, D).
        labels: their classes, (M,); None for one class.
        ridge: share of the mean variance that is added to every direction.

    Raises:
        DataError: there is no row, features are no matrix, or the ridge is negative.

    Source: Lee et al. (2018).

    Example:
        >>> statistic = Mahalanobis([[0.0, 0.0], [2.0, 0.0]], ridge=0.0)
        >>> statistic([[1.0, 0.0], [3.0, 0.0], [1.0, 1.0]])
        array([ 0.,  4., inf])
    """

    against = "rows far from all classes, in directions in which classes vary little"

    def __init__(
        self, features: ArrayLike, labels: ArrayLike | None = None, *, ridge: float = 1e-6
    ) -> None:
        x = np.asarray(features, dtype=float)
        if x.ndim != 2 or not len(x):
            raise DataError(f"features have shape {x.shape}; they must be (M, D) with M > 0.")
        if labels is not None and np.shape(labels) != (len(x),):
            raise DataError(f"labels have shape {np.shape(labels)} for {len(x)} rows.")
        if ridge < 0:
            raise DataError(f"ridge is {ridge}; it cannot be negative.")
        y = np.zeros(len(x), dtype=int) if labels is None else np.asarray(labels)
        classes, code = np.unique(y, return_inverse=True)
        self.means = np.stack([x[code == k].mean(0) for k in range(len(classes))])
        within = x - self.means[code]
        variance, self.directions = np.linalg.eigh(within.T @ within / len(x))
        tiny = len(variance) * np.finfo(float).eps * max(variance.max(), 0.0)
        variance = np.where(variance > tiny, variance, 0.0)
        self.variance = variance + ridge * variance.mean()

    def __call__(self, x: ArrayLike) -> np.ndarray:
        """Squared distances of features (N, D)."""
        rows = np.asarray(x, dtype=float)
        if rows.ndim != 2 or rows.shape[1] != self.means.shape[1]:
            raise DataError(f"x has shape {rows.shape}; it must be (N, {self.means.shape[1]}).")
        along = (rows[:, None] - self.means) @ self.directions  # (N, K, D)
        # What rounding leaves in a direction without variance is no distance.
        large = np.maximum(np.abs(rows).max(1, initial=1.0), np.abs(self.means).max())
        size = (8 * np.finfo(float).eps * len(self.variance) * large)[:, None, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            squared = along**2 / self.variance
        still = self.variance == 0
        squared[..., still] = np.where(np.abs(along[..., still]) > size, np.inf, 0.0)
        return squared.sum(-1).min(1)


def _values(density: Density, x: ArrayLike) -> np.ndarray:
    rows = np.asarray(x)
    values = np.asarray(density(rows), dtype=float)
    if values.shape != (len(rows),):
        raise DataError(f"The density returned shape {values.shape} for {len(rows)} rows.")
    return values
