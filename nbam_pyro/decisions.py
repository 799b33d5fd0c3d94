"""Decisions from responsibilities: which data to flag, review, relabel or weight.

A responsibility is the probability that a datum is contaminated, P(z=1 | x, y). Decisions depend
only on these probabilities. Therefore they are reliable only if the probabilities are calibrated.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from nbam_pyro.checks.arguments import (
    as_cells,
    as_number,
    as_numbers,
    check_numbers,
    place_of,
)
from nbam_pyro.checks.containers import unwrapped
from nbam_pyro.errors import DataError

__all__ = ["Costs", "Flags", "flags", "relabel", "review_queue", "weights"]


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Costs of mistakes and of reviews, in any common unit.

    Args:
        false_alarm: Cost of flagging a clean datum, positive.
        miss: Cost of keeping a contaminated datum, positive.
        review: Cost of asking a person, who is assumed to be right, positive; None if nobody can be
            asked.

    Raises:
        DataError: A cost is not positive and finite.

    Example:
        >>> Costs(false_alarm=1.0, miss=4.0)
        Costs(false_alarm=1.0, miss=4.0, review=None)
    """

    false_alarm: float
    miss: float
    review: float | None = None

    def __post_init__(self) -> None:
        for name, cost in list(vars(self).items()):
            if cost is None:
                continue
            number = as_number(cost, name)
            if not 0 < number < math.inf:
                raise DataError(f"{self}: costs must be positive and finite.")
            object.__setattr__(self, name, number)


@dataclass(frozen=True, eq=False)
class Flags:
    """Data to treat as contaminated, with the expected numbers of right and wrong flags.

    Attributes:
        flagged: True where a datum is flagged, booleans in the shape of the responsibilities.
        review: True where a person should be asked, booleans in the same shape; all False if
            reviews have no cost.
        threshold: Smallest responsibility that is flagged; infinity if no datum is flagged.
        expected_true_positives: Expected number of contaminated data among the flagged ones: the
            sum of their responsibilities.
        expected_false_discovery_rate: Expected share of clean data among the flagged ones: the mean
            of one minus the responsibility. It is 0 if no datum is flagged.
        expected_missed: Expected number of contaminated data that are neither flagged nor reviewed.
    """

    flagged: np.ndarray
    review: np.ndarray
    threshold: float
    expected_true_positives: float
    expected_false_discovery_rate: float
    expected_missed: float


def flags(responsibility: Any, *, fdr: float | None = None, costs: Costs | None = None) -> Flags:
    r"""Flag data up to a false discovery rate, or with the smallest expected cost.

    Here r is the responsibility of a datum. With `fdr`, the result is the largest set :math:`\{i :
    r_i \ge t\}`, for any threshold t, whose posterior expected false discovery rate is at most
    `fdr`. This rate is the mean of 1 - r over the set. With `costs`, each datum gets the action
    with the smallest expected cost: keep (:math:`r\,c_{miss}`), flag (:math:`(1-r)\,c_{false}`) or
    review (:math:`c_{review}`).

    Args:
        responsibility: Responsibilities, the probabilities that data are contaminated, (N, ...),
            for instance `fitted.training_rows.responsibility`. An array, a list, a tensor, or a
            frame or column of pandas, polars or pyarrow.
        fdr: Largest expected share of clean data among the flagged ones, in (0, 1); None if `costs`
            is given.
        costs: Costs of mistakes and reviews; None if `fdr` is given.

    Returns:
        Flags in the shape of the responsibilities.

    Raises:
        DataError: There are no rows, a responsibility is not in [0, 1], or not exactly one of `fdr`
            and `costs` is given.

    Source: Newton et al. (2004) and Müller et al. (2004) for the posterior expected false discovery
    rate.

    Example:
        >>> r = np.array([0.99, 0.9, 0.6, 0.1])
        >>> flags(r, fdr=0.1).flagged
        array([ True,  True, False, False])
        >>> flags(r, costs=Costs(false_alarm=1.0, miss=1.0, review=0.2)).review
        array([False, False,  True, False])
    """
    r = _probabilities(responsibility, "responsibility")
    if (fdr is None) == (costs is None):
        raise DataError(
            "flags needs either fdr (a false discovery rate) or costs. Give exactly one of them."
        )
    if costs is not None:
        return _cheapest(r, costs)
    level = as_number(fdr, "fdr")
    if not 0 < level < 1:
        raise DataError(f"fdr is {fdr}; a false discovery rate must lie in (0, 1).")
    values, counts = np.unique(r, return_counts=True)  # Equal rows are flagged together.
    values, counts = values[::-1], counts[::-1]
    rates = np.cumsum(counts * (1 - values)) / np.cumsum(counts)
    allowed = np.flatnonzero(rates <= level)
    flagged = r >= values[allowed[-1]] if len(allowed) else np.zeros(r.shape, dtype=bool)
    return _flags(r, flagged, np.zeros(r.shape, dtype=bool))


def review_queue(responsibility: Any, *, budget: int) -> pd.DataFrame:
    """Return the data to review first, ordered by decreasing responsibility.

    Args:
        responsibility: Probabilities that data are contaminated, (N,) or (N, *dims), in any
            container that `flags` takes.
        budget: Number of data to review, a whole number of at least 1. If there are fewer data, all
            are returned.

    Returns:
        A table with one row per datum in the order of review: row (and dim_1, ... if targets have
        several elements), responsibility, and expected_true_positives, the expected number of
        contaminated data up to this one.

    Raises:
        DataError: There are no rows, a responsibility is not in [0, 1], or the budget is not a
            positive whole number.

    Example:
        >>> review_queue(np.array([0.2, 0.9, 0.5]), budget=2)
           row  responsibility  expected_true_positives
        0    1             0.9                      0.9
        1    2             0.5                      1.4
    """
    r = _probabilities(responsibility, "responsibility")
    number = as_number(budget, "budget")
    if not number >= 1 or not number.is_integer():
        raise DataError(f"budget is {budget}; it must be a whole number of at least 1.")
    order = (-r).argsort(axis=None, kind="stable")[: int(number)]
    places = np.unravel_index(order, r.shape)
    names = ["row", *(f"dim_{i}" for i in range(1, r.ndim))]
    chosen = r.ravel()[order]
    return pd.DataFrame(
        {
            **dict(zip(names, places, strict=True)),
            "responsibility": chosen,
            "expected_true_positives": chosen.cumsum(),
        }
    )


def relabel(true_label: Any, labels: Any, *, threshold: float = 0.9) -> pd.DataFrame:
    """Return the labels to replace: those for which another class is probable enough.

    Args:
        true_label: Probability of each true class, given features and observed label, (N, K), for
            instance `fitted.training_rows.true_label`, in any container that `flags` takes.
        labels: Observed labels 0, ..., K-1, the column numbers of true_label, (N,).
        threshold: Smallest posterior probability at which a label is replaced, in (0.5, 1].

    Returns:
        A table with one row per label to replace: row, label, new_label, probability. The sum of
        the probabilities is the expected number of right replacements.

    Raises:
        DataError: There are no rows, shapes do not agree, a number is not in [0, 1], a label is not
            one of the K classes, the columns of a frame are classes in another order, or the
            threshold is out of range.

    Example:
        >>> posterior = np.array([[0.97, 0.03], [0.6, 0.4]])
        >>> relabel(posterior, np.array([1, 1]))
           row  label  new_label  probability
        0    0      1          0         0.97
    """
    posterior = _probabilities(true_label, "true_label")
    cells = as_cells(labels)
    if posterior.ndim != 2 or cells.shape != posterior.shape[:1]:
        raise DataError(
            f"true_label has shape {posterior.shape} and labels {cells.shape}; expected (N, K) "
            "and (N,)."
        )
    codes = _columns_of(pd.Index(cells), posterior.shape[1], unwrapped(true_label))
    if not 0.5 < as_number(threshold, "threshold") <= 1:
        raise DataError(f"threshold is {threshold}; it must lie in (0.5, 1].")
    best, probability = posterior.argmax(1), posterior.max(1)
    rows = np.flatnonzero((best != codes) & (probability >= threshold))
    return pd.DataFrame(
        {
            "row": rows,
            "label": codes[rows],
            "new_label": best[rows],
            "probability": probability[rows],
        }
    )


def weights(responsibility: Any) -> np.ndarray:
    """Return one minus the responsibilities, as weights for training another model.

    The weighted loss is the expected loss over the clean rows. To leave rows out or to replace
    labels, use `flags` or `relabel` instead.

    Args:
        responsibility: Probabilities that data are contaminated, (N, ...), in any container that
            `flags` takes.

    Raises:
        DataError: There are no rows, or a responsibility is not in [0, 1].

    Example:
        >>> weights(np.array([0.25, 1.0]))
        array([0.75, 0.  ])
    """
    return 1 - _probabilities(responsibility, "responsibility")


def _cheapest(r: np.ndarray, costs: Costs) -> Flags:
    keep, flag = r * costs.miss, (1 - r) * costs.false_alarm
    least = np.minimum(keep, flag)
    review = np.zeros(r.shape, dtype=bool) if costs.review is None else least > costs.review
    return _flags(r, (flag < keep) & ~review, review)


def _flags(r: np.ndarray, flagged: np.ndarray, review: np.ndarray) -> Flags:
    chosen = r[flagged]
    return Flags(
        flagged=flagged,
        review=review,
        threshold=float(chosen.min()) if len(chosen) else math.inf,
        expected_true_positives=float(chosen.sum()),
        expected_false_discovery_rate=float((1 - chosen).mean()) if len(chosen) else 0.0,
        expected_missed=float(r[~flagged & ~review].sum()),
    )


def _probabilities(values: Any, name: str) -> np.ndarray:
    numbers = np.atleast_1d(as_numbers(values, name)).astype(float)
    if not numbers.size:
        raise DataError(f"{name} has no rows. Pass at least one probability.")
    check_numbers(numbers, name)
    # Rounding may make float32 probabilities a little larger than one.
    if (wrong := (numbers < 0) | (numbers > 1 + 1e-5)).any():
        raise DataError(
            f"{name} is {numbers[wrong][0]} in {place_of(wrong)}; probabilities must be finite and "
            "in [0, 1]."
        )
    return numbers.clip(max=1.0)


def _columns_of(labels: pd.Index, k: int, posterior: Any) -> np.ndarray:
    """Return labels as column numbers of the posterior, (N,)."""
    if isinstance(posterior, pd.DataFrame):
        names = list(posterior.columns)
        if names != list(range(k)) and set(names) == set(range(k)):
            raise DataError(
                f"The columns of true_label are {names}. Put them in the order of the labels, 0 to "
                f"{k - 1}."
            )
    whole = labels.map(lambda one: isinstance(one, int | np.integer) and 0 <= one < k)
    if not whole.all():
        row = int((~whole.to_numpy(dtype=bool)).argmax())
        raise DataError(
            f"The label in row {row} is {labels[row]!r}; labels must be the column numbers of "
            f"true_label, 0, ..., {k - 1}."
        )
    return labels.to_numpy(dtype=np.int64)
