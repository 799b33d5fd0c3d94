"""`nuisance_weights`: weights of rows under which class and nuisance are independent."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

from nbam_pyro.checks.numbers import check_finite
from nbam_pyro.detection.representations.nuisance import Classes, Nuisance
from nbam_pyro.detection.representations.positivity import check_overlap, check_positivity
from nbam_pyro.errors import DataError
from nbam_pyro.models.likelihoods.component import check_whole
from nbam_pyro.training.folds import split

__all__ = [
    "NuisanceWeights",
    "check_effective",
    "effective_share",
    "nuisance_weights",
    "weights_of",
]

# With a smaller effective share of the rows, weighted results depend on a few rows.
_LEAST = 0.1
_ITERATIONS = 1000


@dataclass(frozen=True, eq=False, kw_only=True)
class NuisanceWeights:
    """Weights of rows under which class and nuisance are independent, with checks.

    Attributes:
        values: Weight of each row, (N,). The mean is 1 in each class. Use it as `sample_weight`.
        ess: Effective sample size as a share of the rows, in (0, 1].
        clipped: Share of the rows whose probability of their own class was clipped.
        balance: Table with one row per class: `mean` weight before it was brought to 1, its
            standard error `se`, and `balanced`, whether the mean is 1 up to two standard errors.
        accuracy: Weighted accuracy of predicting the class from the nuisance, on held-out rows. If
            the weights work, it is about `chance`.
        chance: Weighted share of the largest class.

    Example:
        >>> print(nuisance_weights([0, 0, 1, 1], ["red", "green", "red", "green"]))
        The weights keep 100 % of the rows effectively, and clip 0 % of the probabilities. With
        weights the nuisance predicts the class with accuracy 0.50 (chance 0.50).
    """

    values: np.ndarray
    ess: float
    clipped: float
    balance: pd.DataFrame
    accuracy: float
    chance: float

    def __str__(self) -> str:
        text = (
            f"The weights keep {100 * self.ess:.0f} % of the rows effectively, and clip "
            f"{100 * self.clipped:.0f} % of the probabilities. With weights the nuisance predicts "
            f"the class with accuracy {self.accuracy:.2f} (chance {self.chance:.2f})."
        )
        odd = self.balance.index[~self.balance["balanced"]]
        if len(odd):
            text += (
                f" The mean weight of class {str(odd[0])!r} was "
                f"{self.balance['mean'].loc[odd[0]]:.2f} instead of 1: the weights are only "
                "approximate."
            )
        return text


def nuisance_weights(
    y: Any, nuisance: Any, *, folds: int = 5, clip: float = 0.05, seed: int = 0
) -> NuisanceWeights:
    r"""Return weights of rows under which their class says nothing about their nuisance.

    .. math:: w_i = \frac{p(y_i)}{p(y_i \mid u_i)}

    Here y_i is the class of row i and u_i its nuisance. Under these weights the class is
    independent of the nuisance, while the distributions of the class, of the nuisance, and of a row
    given both do not change. A model that is trained with these weights therefore gains nothing
    from the nuisance alone.

    The probabilities of a discrete nuisance are counts with one added to each. Those of a
    continuous nuisance come from a logistic regression on a spline basis. It is fitted to the rows
    of the other folds. Finally, the weights of each class are divided by their mean.

    Args:
        y: Class of each row, (N,), as numbers or texts.
        nuisance: Nuisance of each row, (N,) or (N, D). Texts, booleans, and whole numbers with at
            most 20 different values are discrete; other numbers are continuous.
        folds: Number of folds for a continuous nuisance.
        clip: Smallest probability p(y | u) that is used; the largest is 1 - clip. It limits weights
            to p(y) / clip, up to the division by their mean.
        seed: Seed of the division into folds.

    Raises:
        DataError: A class never occurs with a value or region of the nuisance; lengths differ; a
            value is missing; there is only one class; or `clip` is not in [0, 0.5).

    Source: Puli, Zhang, Oermann & Ranganath, "Out-of-distribution Generalization in the Presence of
    Nuisance-Induced Spurious Correlations" (ICLR 2022).

    Example:
        >>> rng = np.random.default_rng(0)
        >>> y = rng.integers(0, 2, 4000)
        >>> colour = np.where(rng.random(4000) < 0.8, y, 1 - y)  # most often that of the class
        >>> weights = nuisance_weights(y, colour)
        >>> round(weights.ess, 1)  # 4 * 0.8 * 0.2 = 0.64
        0.6
        >>> covariance = np.cov(y, colour, aweights=weights.values)[0, 1]
        >>> bool(abs(covariance) < 1e-3)
        True
    """
    classes = Classes.of(y)
    values = Nuisance.of(nuisance, len(classes))
    check_whole("folds", folds, least=2)
    if not 0 <= clip < 0.5:
        raise DataError(f"clip is {clip}; give a probability of 0 or more, below 0.5.")
    check_positivity(classes, values)
    own = np.arange(len(classes)), classes.codes
    if values.codes is None:
        q = _probabilities(classes, values.basis, folds=folds, seed=seed)
        check_overlap(classes, q)
    else:
        q = _counted(classes, values.codes)
    p = np.clip(q[own], clip, 1 - clip)
    w = classes.shares[classes.codes] / p
    balance = _balance(classes, w)
    w = w / balance["mean"].to_numpy()[classes.codes]
    if values.codes is None:
        found = _probabilities(classes, values.basis, folds=folds, seed=seed, weights=w)
    else:
        found = _counted(classes, values.codes, weights=w)
    return NuisanceWeights(
        values=w,
        ess=effective_share(w),
        clipped=float(((q[own] < clip) | (q[own] > 1 - clip)).mean()),
        balance=balance,
        accuracy=float(np.average(found.argmax(1) == classes.codes, weights=w)),
        chance=float(classes.shares.max()),
    )


def effective_share(weights: np.ndarray) -> float:
    r"""Return the effective sample size as a share of the rows, (sum w)^2 / (N sum w^2).

    Args:
        weights: Weights of rows, (N,), not all 0.

    Example:
        >>> effective_share(np.array([1.0, 1.0, 0.0, 0.0]))
        0.5
    """
    return float(weights.sum() ** 2 / (len(weights) * np.square(weights).sum()))


def weights_of(weights: NuisanceWeights | ArrayLike | None, rows: int) -> np.ndarray:
    """Return weights as an array, (N,).

    Args:
        weights: Result of `nuisance_weights`, or weights, (N,). None for weights of 1.
        rows: Number of rows N.

    Raises:
        DataError: The number of weights is not N, a weight is negative or not finite, or all
            weights are 0.
    """
    if weights is None:
        return np.ones(rows)
    values = weights.values if isinstance(weights, NuisanceWeights) else weights
    w = np.asarray(values, dtype=float)
    if w.shape != (rows,):
        raise DataError(f"weights have shape {w.shape}; give one for each of {rows} rows.")
    check_finite(w, "weights")
    if (w < 0).any() or not (w > 0).any():
        raise DataError("weights must be 0 or more, and some of them above 0.")
    return w


def check_effective(weights: np.ndarray) -> None:
    """Raise an error if a few rows have almost all of the weight.

    Args:
        weights: Weights of rows, (N,).

    Raises:
        DataError: The effective sample size is below a tenth of the rows.
    """
    share = effective_share(weights)
    if share < _LEAST:
        raise DataError(
            f"The effective sample size is {share:.1%} of the rows, below {_LEAST:.0%}: a few rows "
            "with large weights would decide everything. Clip the weights more (`clip`), or "
            "collect rows in which the nuisance does not come with its usual class."
        )


def _counted(classes: Classes, codes: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Return probabilities of the classes at the nuisance of each row, from counts, (N, K)."""
    counts = np.zeros((codes.max() + 1, len(classes.names)))
    np.add.at(counts, (codes, classes.codes), 1.0 if weights is None else weights)
    smooth = counts + (weights is None)
    return np.asarray((smooth / smooth.sum(1, keepdims=True))[codes])


def _probabilities(
    classes: Classes,
    basis: np.ndarray,
    *,
    folds: int,
    seed: int,
    weights: np.ndarray | None = None,
) -> np.ndarray:
    """Return probabilities of the classes from models that have not seen the row, (N, K)."""
    fewest = int(np.bincount(classes.codes).min())
    if fewest < folds:
        name = classes.names[np.bincount(classes.codes).argmin()]
        raise DataError(
            f"Class {str(name)!r} has {fewest} rows, fewer than the {folds} folds. Leave it out, "
            "or collect more rows."
        )
    return np.asarray(
        cross_val_predict(
            LogisticRegression(max_iter=_ITERATIONS),
            basis,
            classes.codes,
            cv=list(split(classes.codes, folds, seed=seed)),
            method="predict_proba",
            params=None if weights is None else {"sample_weight": weights},
        )
    )


def _balance(classes: Classes, w: np.ndarray) -> pd.DataFrame:
    """Return the mean weight of each class and its standard error."""
    groups = pd.Series(w).groupby(classes.codes)
    table = pd.DataFrame({"mean": groups.mean(), "se": groups.sem().fillna(np.inf)})
    # Equal weights have a standard error of 0, and a rounding error.
    table["balanced"] = (table["mean"] - 1).abs() <= 2 * table["se"] + 1e-3
    return table.set_axis(pd.Index(classes.names, name="class"))
