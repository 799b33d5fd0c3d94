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
import pandas as pd
from numpy.typing import ArrayLike

from nbam_pyro.checks import check_finite
from nbam_pyro.errors import DataError
from nbam_pyro.spacing import check_spacing

# What rounding leaves of a difference, as a share of what is subtracted.
_ROUNDING = 8 * np.finfo(float).eps

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
        """The statistic of rows (N, ...), (N,). It may be infinite, but is never NaN.

        Raises:
            DataError: x has missing or infinite numbers, or what the density or classifier returns
                is NaN, or has another shape.
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
        out, own = _values(self.out, x), _values(self.density, x)
        both = np.flatnonzero(np.isneginf(out) & np.isneginf(own))
        if len(both):
            raise DataError(
                f"Both densities are 0 at {len(both)} rows, the first of them row {both[0]}: their "
                "ratio is undefined there. Leave these rows out, or give q a wider support."
            )
        return out - own


class Typicality(TestStatistic):
    r"""|log p(x) - mean log p of training rows|.

    Args:
        density: log p.
        train: rows it was fitted to, (M, ...).

    Raises:
        DataError: there is no row, or the density is 0 at one of them.

    Source: Nalisnick et al. (2019), for batches of one.

    Example:
        >>> Typicality(lambda x: -0.5 * x**2, [-1.0, 1.0])([0.0, 1.0])
        array([0.5, 0. ])
    """

    against = "rows whose density is too low or too high: not atypical rows of usual density"

    def __init__(self, density: Density, train: ArrayLike) -> None:
        self.density = density
        values = _values(density, train)
        if not len(values):
            raise DataError("train has no rows: typical densities are those of training rows.")
        zero = np.flatnonzero(~np.isfinite(values))
        if len(zero):
            raise DataError(
                f"The density is 0 at {len(zero)} training rows, the first of them row {zero[0]}: "
                "their mean log density is not finite."
            )
        self.usual = float(np.mean(values))

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
        rows = _rows(x)
        logits = np.asarray(self.classifier(rows), dtype=float)
        if logits.ndim != 2 or len(logits) != len(rows) or not logits.shape[1]:
            raise DataError(
                f"The classifier returned shape {logits.shape} for {len(rows)} rows; it needs "
                "(N, K)."
            )
        check_finite(logits, "What the classifier returned")
        return -logits.max(1)


class Mahalanobis(TestStatistic):
    r"""Squared distance to the nearest class mean in units of the shared covariance.

    .. math:: \min_k (x - \mu_k)^\top \Sigma^{+} (x - \mu_k)

    With the pseudo-inverse, and directions in which no training row varies counted apart: a row
    that leaves the span of the training rows is infinitely far. `ridge` makes that finite.
    Features are divided by their standard deviations within classes first, so that units do not
    matter.

    Args:
        features: of training rows, (M, D).
        labels: their classes, (M,); None for one class.
        ridge: share of the mean variance that is added to every direction.

    Raises:
        DataError: there is no row, features are no matrix of finite numbers, a label is missing,
            or the ridge is negative or not finite.

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
        check_finite(x, "features")
        check_spacing(x)
        if labels is not None and np.shape(labels) != (len(x),):
            raise DataError(f"labels have shape {np.shape(labels)} for {len(x)} rows.")
        if not 0 <= ridge < np.inf:
            raise DataError(f"ridge is {ridge}; it must be 0 or more, and finite.")
        y = np.zeros(len(x), dtype=int) if labels is None else np.asarray(labels)
        if pd.isna(y).any():
            at = int(pd.isna(y).argmax())
            raise DataError(f"The label of row {at} is missing: leave rows without a label out.")
        classes, code = np.unique(y, return_inverse=True)
        # Differences from a row are exact, however large an offset is.
        self.origin = x[0]
        moved = x - self.origin
        means = np.stack([moved[code == k].mean(0) for k in range(len(classes))])
        deviation = np.sqrt(np.square(moved - means[code]).mean(0))
        still = deviation <= _ROUNDING * np.abs(x).max(0)
        self.unit = np.where(still, 1.0, deviation)
        self.means = means / self.unit
        within = np.where(still, 0.0, moved / self.unit - self.means[code])
        variance, self.directions = np.linalg.eigh(within.T @ within / len(x))
        tiny = len(variance) * np.finfo(float).eps * max(variance.max(), 0.0)
        variance = np.where(variance > tiny, variance, 0.0)
        self.variance = variance + ridge * variance.mean()

    def __call__(self, x: ArrayLike) -> np.ndarray:
        """Squared distances of features (N, D)."""
        rows = np.asarray(x, dtype=float)
        if rows.ndim != 2 or rows.shape[1] != self.means.shape[1]:
            raise DataError(f"x has shape {rows.shape}; it must be (N, {self.means.shape[1]}).")
        check_finite(rows, "x")
        along = ((rows - self.origin) / self.unit)[:, None] - self.means
        along = along @ self.directions  # (N, K, D)
        # What rounding leaves in a direction without variance is no distance.
        large = np.max((np.abs(rows) + np.abs(self.origin)) / self.unit, axis=1, initial=1.0)
        size = len(self.unit) * _ROUNDING * (large + np.abs(self.means).max())
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            squared = along**2 / self.variance
        still = self.variance == 0
        left = np.abs(along[..., still]) > size[:, None, None]
        squared[..., still] = np.where(left, np.inf, 0.0)
        return squared.sum(-1).min(1)


def _rows(x: ArrayLike) -> np.ndarray:
    rows = np.asarray(x)
    if rows.dtype.kind in "fc":
        check_finite(rows, "x")
    return rows


def _values(density: Density, x: ArrayLike) -> np.ndarray:
    rows = _rows(x)
    values = np.asarray(density(rows), dtype=float)
    if values.shape != (len(rows),):
        raise DataError(f"The density returned shape {values.shape} for {len(rows)} rows.")
    wrong = np.flatnonzero(np.isnan(values) | np.isposinf(values))
    if len(wrong):
        raise DataError(
            f"The density returned {values[wrong[0]]} for {len(wrong)} rows, the first of them row "
            f"{wrong[0]}: log densities are numbers, or -inf where the density is 0."
        )
    return values
