"""`nuisance_weights`: weights of rows under which class and nuisance are independent."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

from nbam_pyro.checks.weights import effective_rows, row_weights
from nbam_pyro.detection.representations.nuisance import Classes, Nuisance
from nbam_pyro.detection.representations.positivity import check_overlap, check_positivity
from nbam_pyro.errors import DataError
from nbam_pyro.models.likelihoods.component import check_whole
from nbam_pyro.training.folds import split

__all__ = [
    "NuisanceWeights",
    "check_effective",
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
        >>> print(nuisance_weights([0, 0, 1, 1] * 10, ["red", "green", "red", "green"] * 10))
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
        folds: Number of folds for the probabilities of a continuous nuisance, and for `accuracy`.
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
        q = _shares(_counts(classes, values.codes) + 1)[values.codes]
    p = np.clip(q[own], clip, 1 - clip)
    w = classes.shares[classes.codes] / p
    balance = _balance(classes, w)
    w = w / balance["mean"].to_numpy()[classes.codes]
    if values.codes is None:
        found = _probabilities(classes, values.basis, folds=folds, seed=seed, weights=w)
    else:
        found = _counted_apart(classes, values.codes, w, folds=folds, seed=seed)
    return NuisanceWeights(
        values=w,
        ess=effective_rows(w) / len(w),
        clipped=float(((q[own] < clip) | (q[own] > 1 - clip)).mean()),
        balance=balance,
        accuracy=float(np.average(found.argmax(1) == classes.codes, weights=w)),
        chance=float(classes.shares.max()),
    )


def weights_of(
    weights: NuisanceWeights | ArrayLike | None, rows: int, *, codes: np.ndarray | None = None
) -> np.ndarray:
    """Return weights as an array, (N,).

    Args:
        weights: Result of `nuisance_weights`, or weights, (N,). None for weights of 1.
        rows: Number of rows N.
        codes: Position of the class of each row, (N,), if every class needs a weight above 0.

    Raises:
        DataError: As for `row_weights`.
    """
    values = weights.values if isinstance(weights, NuisanceWeights) else weights
    return row_weights(values, rows, codes=codes)


def check_effective(weights: np.ndarray) -> None:
    """Raise an error if a few rows have almost all of the weight.

    Args:
        weights: Weights of rows, (N,).

    Raises:
        DataError: The effective sample size is below a tenth of the rows.
    """
    share = effective_rows(weights) / len(weights)
    if share < _LEAST:
        raise DataError(
            f"The effective sample size is {share:.1%} of the rows, below {_LEAST:.0%}: a few rows "
            "with large weights would decide everything. Clip the weights more (`clip`), or "
            "collect rows in which the nuisance does not come with its usual class."
        )


def _counts(classes: Classes, codes: np.ndarray, weights: np.ndarray | float = 1.0) -> np.ndarray:
    """Return the weight of each class at each value of the nuisance, (V, K)."""
    counts = np.zeros((codes.max() + 1, len(classes.names)))
    np.add.at(counts, (codes, classes.codes), weights)
    return counts


def _shares(counts: np.ndarray) -> np.ndarray:
    return np.asarray(counts / counts.sum(1, keepdims=True))


def _counted_apart(
    classes: Classes, codes: np.ndarray, w: np.ndarray, *, folds: int, seed: int
) -> np.ndarray:
    """Return weighted shares of the classes at the nuisance of each row, from other folds, (N, K).

    Folds have equal shares of each pair of class and value: otherwise a class that is rare in a
    fold is frequent outside of it, and accuracies are too low.
    """
    pairs = np.unique(np.c_[classes.codes, codes], axis=0, return_inverse=True)[1].reshape(-1)
    found = np.tile(classes.shares, (len(w), 1))
    for train, test in split(pairs, min(folds, len(w)), seed=seed):
        outside = np.zeros_like(w)
        outside[train] = w[train]
        counts = _counts(classes, codes, outside)[codes[test]]
        known = counts.sum(1) > 0  # a value may occur in this fold only
        found[test[known]] = _shares(counts[known])
    return found


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
