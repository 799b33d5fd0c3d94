"""Test statistics that find anomalies with a density or with a classifier.

A statistic cannot be better than chance for every possible distribution of anomalies: if it is
better for some anomalies, it is worse for others (Zhang, Goldstein & Ranganath 2021). Therefore
this module has no default statistic. The attribute `against` of each statistic describes the
anomalies that it is meant for. All statistics are high for rows that look anomalous.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import ArrayLike

from nbam_pyro.checks.numbers import check_finite
from nbam_pyro.errors import DataError

__all__ = [
    "Density",
    "LikelihoodRatio",
    "LogLikelihood",
    "MaxLogit",
    "TestStatistic",
    "Typicality",
]


class Density(Protocol):
    """A function that takes rows (N, ...) and returns their log densities (N,).

    An example is `score_samples` of scikit-learn's `GaussianMixture` or `KernelDensity`.
    """

    def __call__(self, x: np.ndarray, /) -> ArrayLike:
        """Return the log densities of rows, (N,).

        Args:
            x: Rows, (N, ...).
        """


class TestStatistic(ABC):
    """The base class of functions that give each row a number, high if it looks anomalous.

    Attributes:
        against: Description of the anomalies that the statistic is meant for.
    """

    __test__ = False  # pytest must not collect it
    against: ClassVar[str]

    @abstractmethod
    def __call__(self, x: ArrayLike) -> np.ndarray:
        """Return the statistic of each row, (N,). It may be infinite, but is never NaN.

        Args:
            x: Rows, (N, ...).

        Raises:
            DataError: x has missing or infinite numbers, or the density or classifier returns NaN
                or an array of another shape.
        """


class LogLikelihood(TestStatistic):
    r"""The negative log density, -log p(x).

    Args:
        density: Function that takes rows and returns their log densities log p.

    Example:
        >>> LogLikelihood(lambda x: -0.5 * x**2)([0.0, 2.0])
        array([0., 2.])
    """

    against = "rows of low density; it misses rows of high density that are not typical"

    def __init__(self, density: Density) -> None:
        self.density = density

    def __call__(self, x: ArrayLike) -> np.ndarray:
        return -_values(self.density, x)


class LikelihoodRatio(TestStatistic):
    r"""The log likelihood ratio log q(x) - log p(x).

    It is the most powerful test of p against q (Neyman & Pearson).

    Args:
        density: Function that returns log p, where p is the density of normal rows.
        out: Function that returns log q, where q is the density of the anomalies of interest.

    Example:
        >>> ratio = LikelihoodRatio(lambda x: -0.5 * x**2, lambda x: -0.5 * (x - 2) ** 2)
        >>> ratio([0.0, 2.0])
        array([-2.,  2.])
    """

    against = "rows drawn from q, for which it is optimal; nothing is known about other anomalies"

    def __init__(self, density: Density, out: Density) -> None:
        self.density = density
        self.out = out

    def __call__(self, x: ArrayLike) -> np.ndarray:
        out, own = _values(self.out, x), _values(self.density, x)
        both = np.flatnonzero(np.isneginf(out) & np.isneginf(own))
        if len(both):
            raise DataError(
                f"Both densities are 0 at {len(both)} rows, the first of them row {both[0]}: their "
                "ratio is undefined. Leave these rows out, or give q a wider support."
            )
        return out - own


class Typicality(TestStatistic):
    r"""The distance of log p(x) from the mean of log p over the training rows.

    Args:
        density: Function that takes rows and returns their log densities log p.
        train: Rows to which the density was fitted, (M, ...).

    Raises:
        DataError: `train` has no rows, or the density is 0 at one of them.

    Source: Nalisnick et al. (2019), for batches of one.

    Example:
        >>> Typicality(lambda x: -0.5 * x**2, [-1.0, 1.0])([0.0, 1.0])
        array([0.5, 0. ])
    """

    against = "rows whose density is too low or too high; it misses anomalies of usual density"

    def __init__(self, density: Density, train: ArrayLike) -> None:
        self.density = density
        values = _values(density, train)
        if not len(values):
            raise DataError("train has no rows: give the rows to which the density was fitted.")
        zero = np.flatnonzero(~np.isfinite(values))
        if len(zero):
            raise DataError(
                f"The density is 0 at {len(zero)} training rows, the first of them row {zero[0]}: "
                "their mean log density is not finite. Leave these rows out."
            )
        self.usual = float(np.mean(values))

    def __call__(self, x: ArrayLike) -> np.ndarray:
        return np.abs(_values(self.density, x) - self.usual)


class MaxLogit(TestStatistic):
    """The negative of the highest logit of a classifier.

    Args:
        classifier: Function that takes rows (N, ...) and returns logits (N, K).

    Source: Hendrycks et al. (2022).

    Example:
        >>> MaxLogit(lambda x: x)([[3.0, 1.0], [0.5, 0.4]])
        array([-3. , -0.5])
    """

    against = "rows that are unlike all known classes; it misses anomalies within a class"

    def __init__(self, classifier: Callable[[np.ndarray], ArrayLike]) -> None:
        self.classifier = classifier

    def __call__(self, x: ArrayLike) -> np.ndarray:
        rows = _rows(x)
        logits = np.asarray(self.classifier(rows), dtype=float)
        if logits.ndim != 2 or len(logits) != len(rows) or not logits.shape[1]:
            raise DataError(
                f"The classifier returned shape {logits.shape} for {len(rows)} rows; it must "
                "return (N, K)."
            )
        check_finite(logits, "The output of the classifier")
        return -logits.max(1)


def _rows(x: ArrayLike) -> np.ndarray:
    rows = np.asarray(x)
    if rows.dtype.kind in "fc":
        check_finite(rows, "x")
    return rows


def _values(density: Density, x: ArrayLike) -> np.ndarray:
    rows = _rows(x)
    values = np.asarray(density(rows), dtype=float)
    if values.shape != (len(rows),):
        raise DataError(
            f"The density returned shape {values.shape} for {len(rows)} rows; it must return (N,)."
        )
    wrong = np.flatnonzero(np.isnan(values) | np.isposinf(values))
    if len(wrong):
        raise DataError(
            f"The density returned {values[wrong[0]]} for {len(wrong)} rows, the first of them row "
            f"{wrong[0]}: log densities must be numbers, or -inf where the density is 0."
        )
    return values
