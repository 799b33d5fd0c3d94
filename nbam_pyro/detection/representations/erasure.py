"""`Erasure`: removes from a representation what linear functions of it say about a nuisance."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.linear_model import RidgeClassifier

from nbam_pyro.checks.numbers import check_finite
from nbam_pyro.detection.representations.directions import directions_free
from nbam_pyro.detection.representations.nuisance import Classes, Nuisance
from nbam_pyro.detection.representations.positivity import check_positivity
from nbam_pyro.detection.representations.weights import (
    NuisanceWeights,
    check_effective,
    weights_of,
)
from nbam_pyro.errors import DataError
from nbam_pyro.training.folds import split

__all__ = ["Erased", "Erasure"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Erased:
    """A linear map that removes the directions in which rows of a class depend on the nuisance.

    Attributes:
        origin: Mean of the training rows that is subtracted first, (D,).
        matrix: Matrix of the map, (D, E). The results are whitened: under the weights the
            covariance within classes is the identity.
        removed: Number D - E of directions that the map removes.
        accuracy_before: Accuracy on the class of a linear classifier of the original rows, on
            held-out rows and under the weights.
        accuracy_after: The same accuracy after the directions have been removed.

    Example:
        >>> half = Erased(origin=np.zeros(2), matrix=np.array([[1.0], [0.0]]), removed=1,
        ...     accuracy_before=0.9, accuracy_after=0.8)
        >>> half([[3.0, 5.0]])
        array([[3.]])
        >>> print(half)
        1 of 2 directions are removed. The accuracy on the class is 0.90 before and 0.80 after.
    """

    origin: np.ndarray
    matrix: np.ndarray
    removed: int
    accuracy_before: float
    accuracy_after: float

    def __call__(self, r: ArrayLike) -> np.ndarray:
        """Return rows without the removed directions, (N, E).

        Args:
            r: Rows of the representation, (N, D).

        Raises:
            DataError: r has another number of columns, or numbers that are not finite.
        """
        rows = np.asarray(r, dtype=float)
        if rows.ndim != 2 or rows.shape[1] != len(self.origin):
            raise DataError(f"r has shape {rows.shape}; give (N, {len(self.origin)}).")
        check_finite(rows, "r")
        return np.asarray((rows - self.origin) @ self.matrix)

    def __str__(self) -> str:
        return (
            f"{self.removed} of {len(self.origin)} directions are removed. The accuracy on the "
            f"class is {self.accuracy_before:.2f} before and {self.accuracy_after:.2f} after."
        )


@dataclass(frozen=True, kw_only=True)
class Erasure:
    r"""Removes a nuisance from a representation in closed form.

    Rows r are whitened with their covariance S within classes. In each class y they are then
    regressed on the nuisance u: on its values if it is discrete, otherwise on a spline basis.

    .. math:: d_y(u) = S^{-1/2} \big( E_w[r \mid y, u] - E_w[r \mid y] \big)

    The directions in which the d_y(u) are larger than chance explains are removed. Expectations and
    S use the weights w. With `noise=0`, the mean of r given class and nuisance does not depend on
    the nuisance afterwards, exactly at the training rows. Therefore no linear function of r
    predicts a discrete nuisance within a class there. Other dependence, such as a variance that
    changes with the nuisance, can remain, unless it is removed, too (`spread`); `probe` measures
    it.

    Args:
        noise: Size of effects that are not removed, in units of the largest effect that chance
            gives: the mean plus four standard deviations of the largest effects after 20 random
            exchanges of r among the rows of each class. 0 removes all directions with any effect,
            at most one for each regressor. Such directions can be those in which anomalies are
            seen.
        spread: Whether directions are removed, too, in which the variance within a class changes
            with the nuisance. Of the symmetric matrices that regressions of r r' on the nuisance
            give, the sum of squares is formed. Its eigenvectors are kept whose eigenvalue chance
            can explain, in rounds. Use it with a linear encoder of at least as many columns as
            features: a network mixes directions with and without such changes.

    Raises:
        DataError: `noise` is negative, or 0 with `spread`.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> y, u = rng.integers(0, 2, (2, 500))
        >>> r = np.c_[y + u, y - u, y] + rng.normal(size=(500, 3))
        >>> erased = Erasure(noise=0).learn(r, y, u)
        >>> means = [erased(r)[(y == 1) & (u == k)].mean(0) for k in (0, 1)]
        >>> bool(np.allclose(*means))
        True
    """

    noise: float = 1.0
    spread: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.noise < np.inf:
            raise DataError(f"noise is {self.noise}; give a finite number, 0 or more.")
        if self.spread and not self.noise:
            raise DataError(
                "noise is 0 and spread is True, which would remove every direction: each variance "
                "changes a little by chance. Give a noise above 0, such as 1."
            )

    def learn(
        self,
        r: ArrayLike,
        y: Any,
        nuisance: Any,
        *,
        weights: NuisanceWeights | ArrayLike | None = None,
        seed: int = 0,
    ) -> Erased:
        """Return the map that removes the nuisance.

        Args:
            r: Rows of the representation, (N, D).
            y: Class of each row, (N,).
            nuisance: Nuisance of each row, (N,) or (N, D), as for `nuisance_weights`.
            weights: Weights of the rows, from `nuisance_weights` or (N,). None for weights of 1.
            seed: Seed of the division into two halves that measures the accuracies.

        Raises:
            DataError: The effective sample size is below a tenth of the rows; a class never occurs
                with a value or region of the nuisance; a class has too few rows for the columns of
                the nuisance, or only rows of weight 0; no direction would be left; or shapes
                differ.
        """
        classes = Classes.of(y)
        rows = np.asarray(r, dtype=float)
        if rows.ndim != 2 or len(rows) != len(classes):
            raise DataError(
                f"r has shape {rows.shape}; give (N, D) with one row for each of {len(classes)} "
                "classes of rows."
            )
        check_finite(rows, "r")
        values = Nuisance.of(nuisance, len(rows))
        w = weights_of(weights, len(rows), codes=classes.codes)
        check_effective(w)
        check_positivity(classes, values)
        basis = values.basis
        _check_room(classes, basis.shape[1])
        origin, matrix, removed = directions_free(
            rows, classes.codes, basis, w, noise=self.noise, spread=self.spread
        )
        accuracies = []
        for train, test in split(classes.codes, 2, seed=seed):
            found = directions_free(
                rows[train],
                classes.codes[train],
                basis[train],
                w[train],
                noise=self.noise,
                spread=self.spread,
            )
            for transform in (np.eye(rows.shape[1]), found[1]):
                moved = (rows - found[0]) @ transform
                accuracies.append(_accuracy(moved, classes.codes, w, train, test))
        return Erased(
            origin=origin,
            matrix=matrix,
            removed=removed,
            accuracy_before=float(np.mean(accuracies[::2])),
            accuracy_after=float(np.mean(accuracies[1::2])),
        )


def _check_room(classes: Classes, columns: int) -> None:
    """Raise an error if a class has too few rows to tell effects of the nuisance from chance."""
    smallest = int(np.bincount(classes.codes).argmin())
    rows = int((classes.codes == smallest).sum())
    if 4 * columns > rows:  # each half of the rows needs twice as many rows as columns
        raise DataError(
            f"The nuisance has {columns} columns (or values, or spline functions), too many for "
            f"the {rows} rows of class {str(classes.names[smallest])!r}: chance would explain "
            "every row. Give a nuisance of fewer columns, such as its first principal components, "
            "or more rows."
        )


def _accuracy(
    r: np.ndarray, codes: np.ndarray, w: np.ndarray, train: np.ndarray, test: np.ndarray
) -> float:
    model = RidgeClassifier().fit(r[train], codes[train], sample_weight=w[train])
    return float(np.average(model.predict(r[test]) == codes[test], weights=w[test]))
