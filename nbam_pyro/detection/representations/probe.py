"""`probe`: how well a nuisance can still be read from a representation, on held-out rows."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from nbam_pyro.checks.numbers import check_finite
from nbam_pyro.checks.weights import effective_rows
from nbam_pyro.detection.representations.nuisance import Classes, Nuisance
from nbam_pyro.detection.representations.weights import NuisanceWeights, weights_of
from nbam_pyro.errors import DataError
from nbam_pyro.training.folds import split

__all__ = ["Probe", "probe"]

_ITERATIONS = 1000
# Number of basis functions of the non-linear probe.
_COMPONENTS = 150
# A class with fewer rows cannot be divided into rows to learn from and rows to judge by.
_LEAST = 20
# A value of the nuisance with fewer rows in a class is not judged there.
_FEWEST = 4
# Three standard errors above this leave it open whether the nuisance can be read.
_UNNOTICED = MappingProxyType({"accuracy": 0.2, "correlation": 0.3})


@dataclass(frozen=True, kw_only=True)
class Probe:
    """How well new models predict the nuisance from a representation, within classes.

    For a discrete nuisance the numbers are accuracies. For a continuous one they are correlations
    between the nuisance and its prediction.

    Attributes:
        linear: Accuracy or correlation of a linear model, on held-out rows.
        nonlinear: Accuracy or correlation of a smooth non-linear model, on held-out rows.
        chance: Value of a model that does not see the representation.
        error: Standard error of these numbers if nothing can be read.
        measure: "accuracy" or "correlation".
        judged: Share of the weight of the rows in the classes and values of the nuisance that could
            be judged. Others have too few rows, or a nuisance that does not vary.

    Example:
        >>> print(Probe(linear=0.83, nonlinear=0.85, chance=0.5, error=0.01, measure="accuracy"))
        The nuisance can still be read from the representation: accuracy 0.83 of a linear model
        and 0.85 of a non-linear model on held-out rows, chance 0.50.
    """

    linear: float
    nonlinear: float
    chance: float
    error: float
    measure: Literal["accuracy", "correlation"]
    judged: float = 1.0

    @property
    def readable(self) -> bool:
        """Whether a model is better than chance by more than three standard errors."""
        return max(self.linear, self.nonlinear) > self.chance + 3 * self.error

    @property
    def linearly_readable(self) -> bool:
        """Whether the linear model is better than chance by more than three standard errors."""
        return self.linear > self.chance + 3 * self.error

    @property
    def undecided(self) -> bool:
        """Whether there are so few rows that a readable nuisance could go unnoticed."""
        return not self.readable and 3 * self.error > _UNNOTICED[self.measure]

    def __str__(self) -> str:
        numbers = (
            f"{self.measure} {self.linear:.2f} of a linear model and {self.nonlinear:.2f} of a "
            f"non-linear model on held-out rows, chance {self.chance:.2f}."
        )
        if self.judged < 1:
            numbers += (
                f" Only {self.judged:.0%} of the rows were judged: in the others the nuisance does "
                "not vary within the class, or has too few rows."
            )
        if self.readable:
            return f"The nuisance can still be read from the representation: {numbers}"
        if self.undecided:
            limit = self.chance + 3 * self.error
            return (
                "There are too few rows to tell whether the nuisance can be read from the "
                f"representation: {numbers} Values up to {limit:.2f} would not be noticed."
            )
        return f"Two new models cannot read the nuisance from the representation: {numbers}"


def probe(
    r: ArrayLike,
    y: Any,
    nuisance: Any,
    *,
    weights: NuisanceWeights | ArrayLike | None = None,
    seed: int = 0,
) -> Probe:
    """Return how well the nuisance can be predicted from a representation within each class.

    In each class, new models are fitted to one half of the rows and judged on the other half, and
    the reverse. A low value is evidence of independence that the training of the representation
    could not influence. Give rows on which the representation was not trained.

    Args:
        r: Rows of the representation, (N, D).
        y: Class of each row, (N,).
        nuisance: Nuisance of each row, (N,) or (N, D), as for `nuisance_weights`.
        weights: Weights of the rows, from `nuisance_weights` or (N,). They give a continuous
            nuisance the same distribution in all classes. All values of a discrete nuisance are
            given the same total weight in each class. None for weights of 1.
        seed: Seed of the division into halves and of the non-linear model.

    Raises:
        DataError: A class has fewer than 20 rows; no class has two values of a discrete nuisance
            with 4 rows or more; shapes differ; or a number is not finite.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> y, u = rng.integers(0, 2, (2, 400))
        >>> found = probe(np.c_[y, 4 * u] + rng.normal(size=(400, 2)), y, u)
        >>> found.readable, bool(found.linear > 0.9)
        (True, True)
    """
    classes = Classes.of(y)
    rows = np.asarray(r, dtype=float)
    if rows.ndim != 2 or len(rows) != len(classes):
        raise DataError(f"r has shape {rows.shape}; give (N, D) with N = {len(classes)}.")
    check_finite(rows, "r")
    values = Nuisance.of(nuisance, len(rows))
    given = weights_of(weights, len(rows))
    w = _balanced(given, classes, values)
    if not w.any():
        raise DataError(
            "No class has two values of the nuisance with at least "
            f"{_FEWEST} rows each. Give more rows to the probe (`held_out`)."
        )
    if values.codes is None:
        w = w * _varies(classes, values, given)
        if not w.any():
            raise DataError("The nuisance does not vary within any class. Leave it out.")
    judged = float((given * (w > 0)).sum() / given.sum())
    found = []
    for k, name in enumerate(classes.names):
        here = classes.codes == k
        own, count = np.flatnonzero(here & (w > 0)), int((here & (given > 0)).sum())
        if count < _LEAST:
            raise DataError(
                f"Class {str(name)!r} has {count} rows, too few for a probe. Give at least "
                f"{_LEAST} rows of each class."
            )
        if len(own):
            found.append((*_of_class(rows[own], values[own], w[own], seed=seed), w[own].sum()))
    share = [one[-1] for one in found]
    linear, nonlinear, chance = np.average([one[:-1] for one in found], axis=0, weights=share)
    effective = effective_rows(w)
    if values.codes is not None:
        error = float(np.sqrt(chance * (1 - chance) / effective))
        return Probe(
            linear=float(linear),
            nonlinear=float(nonlinear),
            chance=float(chance),
            error=error,
            measure="accuracy",
            judged=judged,
        )
    linear, nonlinear = np.sqrt(np.maximum([linear, nonlinear], 0.0))
    return Probe(
        linear=float(linear),
        nonlinear=float(nonlinear),
        chance=0.0,
        error=effective**-0.5,
        measure="correlation",
        judged=judged,
    )


def _balanced(w: np.ndarray, classes: Classes, values: Nuisance) -> np.ndarray:
    """Return weights under which all values of a discrete nuisance are equally frequent.

    In a few held-out rows, nuisance weights do not give all classes the same distribution. Values
    with too few rows in a class have weight 0 there, and so has a class with one value left.
    """
    if values.codes is None:
        return w
    count = values.codes.max() + 1
    cells = classes.codes * count + values.codes
    size = len(classes.names) * count
    totals = np.bincount(cells, weights=w, minlength=size)
    enough = np.bincount(cells, weights=w > 0, minlength=size) >= _FEWEST
    present = enough.reshape(-1, count).sum(1)
    kept = enough[cells] & (present > 1)[classes.codes]
    own = np.bincount(classes.codes, weights=w)
    share = np.divide(w, totals[cells], out=np.zeros_like(w), where=kept & (w > 0))
    return np.asarray(share * (own / present.clip(1))[classes.codes])


def _varies(classes: Classes, values: Nuisance, w: np.ndarray) -> np.ndarray:
    """Return 1 for rows of classes in which a continuous nuisance varies, else 0, (N,)."""
    varies = [
        bool(np.ptp(values.values[(classes.codes == k) & (w > 0)], axis=0).any())
        if ((classes.codes == k) & (w > 0)).any()
        else False
        for k in range(len(classes.names))
    ]
    return np.array(varies, dtype=float)[classes.codes]


def _of_class(r: np.ndarray, values: Nuisance, w: np.ndarray, *, seed: int) -> list[float]:
    """Return the values of the linear and the non-linear model in a class, and that of chance."""
    if values.codes is None:
        return _explained(r, values.values, w, seed)
    return _correct(r, values.codes, w, seed)


def _correct(r: np.ndarray, codes: np.ndarray, w: np.ndarray, seed: int) -> list[float]:
    """Return accuracies of the models on held-out rows of a class, and that of the best guess."""
    right = np.zeros((2, len(r)))
    for train, test in split(codes, 2, seed=seed):
        last = LogisticRegression(max_iter=_ITERATIONS)
        for correct, model in zip(right, _models(last, r[train], seed), strict=True):
            model.fit(r[train], codes[train], model__sample_weight=w[train])
            correct[test] = model.predict(r[test]) == codes[test]
    guess = np.bincount(codes, weights=w).max() / w.sum()
    return [*np.average(right, axis=1, weights=w), guess]


def _explained(r: np.ndarray, u: np.ndarray, w: np.ndarray, seed: int) -> list[float]:
    """Return shares of the variance that the models explain on held-out rows of a class, and 0.

    Of several columns of the nuisance, the one that is explained best counts: the mean over many
    columns would hide a few that can be read.
    """
    u = u - np.average(u, axis=0, weights=w)
    u = u / np.maximum(np.sqrt(np.average(u**2, axis=0, weights=w)), 1e-300)
    left = np.zeros((2, *u.shape))
    for train, test in split(u, 2, seed=seed):
        for rest, model in zip(left, _models(Ridge(), r[train], seed), strict=True):
            model.fit(r[train], u[train], model__sample_weight=w[train])
            rest[test] = np.square(u[test] - model.predict(r[test]).reshape(u[test].shape))
    whole = np.average(np.square(u), axis=0, weights=w)
    rest = np.average(left, axis=1, weights=w)  # (models, columns)
    return [*(1 - (rest / np.where(whole > 0, whole, np.inf))[:, whole > 0]).max(1), 0.0]


def _models(last: Any, r: np.ndarray, seed: int) -> tuple[Pipeline, Pipeline]:
    """Return a linear model and a smooth non-linear one, with the same last step."""
    # Squared distances of standardised rows are about twice the number of columns.
    kernel = Nystroem(
        gamma=0.5 / r.shape[1], n_components=min(_COMPONENTS, len(r)), random_state=seed
    )
    linear = Pipeline([("scale", StandardScaler()), ("model", last)])
    # The columns of the kernel are small, so that they must be scaled before the penalty.
    steps = [("scale", StandardScaler()), ("kernel", kernel), ("spread", StandardScaler())]
    return linear, Pipeline([*steps, ("model", clone(last))])
