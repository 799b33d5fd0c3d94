"""Which data a person should check: the most suspicious ones, or a random sample."""

from typing import Any, Literal

import numpy as np
import pandas as pd

from nbam_pyro.checks.arguments import as_number
from nbam_pyro.decisions.probabilities import as_probabilities
from nbam_pyro.errors import DataError

__all__ = ["inclusion_probabilities", "review_queue"]

# Every datum is drawn at least with this part of the probability of a uniform draw.
_FLOOR = 0.25


def review_queue(
    responsibility: Any,
    *,
    budget: int,
    design: Literal["sorted", "random"] = "sorted",
    seed: int = 0,
) -> pd.DataFrame:
    r"""Return the data to review: the most suspicious ones first, or a random sample.

    The sorted queue finds most contaminated data. It does not show how many are left, because the
    other data are never looked at. For that, use the random design: each datum is drawn with its
    own known probability, in proportion to :math:`\sqrt{r (1 - r)}`, and at least a quarter of that
    of a uniform draw. Data whose responsibility r is near one half are therefore reviewed more
    often, and `reviewed` corrects for it.

    Args:
        responsibility: Probabilities that data are contaminated, (N,) or (N, *dims), in any
            container that `flags` takes.
        budget: Number of data to review, a whole number of at least 1. If there are fewer data, all
            are returned.
        design: "sorted" for the data with the largest responsibilities, "random" for a sample.
        seed: Seed of the sample.

    Returns:
        A table with one row per datum in the order of review: row (and dim_1, ... if targets have
        several elements), responsibility, and expected_true_positives, the expected number of
        contaminated data up to this one. With the random design the order is random, and there is
        a column inclusion_probability, the probability with which this datum was drawn. Pass it to
        `reviewed`.

    Raises:
        DataError: There are no rows, a responsibility is not in [0, 1], the budget is not a
            positive whole number, or the design has another name.

    Source: Sampling with unequal probabilities is from Madow (1949); the best probabilities for a
    difference estimator are from Särndal, Swensson & Wretman (1992), section 12.2.

    Example:
        >>> review_queue(np.array([0.2, 0.9, 0.5]), budget=2)
           row  responsibility  expected_true_positives
        0    1             0.9                      0.9
        1    2             0.5                      1.4
        >>> sample = review_queue(np.array([0.2, 0.9, 0.5, 0.0]), budget=2, design="random")
        >>> list(sample)[-1]
        'inclusion_probability'
    """
    r = as_probabilities(responsibility, "responsibility")
    number = as_number(budget, "budget")
    if not number >= 1 or not number.is_integer():
        raise DataError(f"budget is {budget}; it must be a whole number of at least 1.")
    if design not in ("sorted", "random"):
        raise DataError(f'design is {design!r}. Write "sorted" or "random".')
    flat, count = r.ravel(), min(int(number), r.size)
    if design == "sorted":
        return _table(r, (-flat).argsort(kind="stable")[:count])
    rng = np.random.default_rng(seed)
    included = inclusion_probabilities(flat, count)
    order = rng.permutation(_systematic(included, rng))
    return _table(r, order).assign(inclusion_probability=included[order])


def _table(r: np.ndarray, order: np.ndarray) -> pd.DataFrame:
    """Return the table of a queue.

    Args:
        r: Responsibilities, (N, ...).
        order: Places of the data in the flattened array, in the order of review.
    """
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


def inclusion_probabilities(r: np.ndarray, count: int) -> np.ndarray:
    """Return the probabilities with which the random design draws each datum, (N,).

    Args:
        r: Responsibilities, (N,).
        count: Number of data that are drawn, at most N. It is the sum of the probabilities.

    Example:
        >>> inclusion_probabilities(np.array([0.5, 0.5, 0.0]), 2).round(2)
        array([0.92, 0.92, 0.17])
    """
    value = np.sqrt(r * (1 - r))
    total = value.sum()
    value = _FLOOR + (1 - _FLOOR) * (value / total * len(r) if total > 0 else np.ones(len(r)))
    certain = np.zeros(len(r), bool)
    while True:  # Data whose probability would exceed one are certain; the others share the rest.
        rest = (count - certain.sum()) * value / value[~certain].sum()
        more = ~certain & (rest >= 1)
        if not more.any():
            return np.where(certain, 1.0, rest)
        certain |= more
        if certain.sum() >= count:
            return np.where(certain, 1.0, 0.0)


def _systematic(included: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return places that are drawn with given probabilities, in a random order of the data."""
    order = rng.permutation(len(included))
    ends = included[order].cumsum()
    count = round(float(ends[-1]))
    points = (rng.random() + np.arange(count)) * (ends[-1] / count)
    return order[np.searchsorted(ends, points, side="right").clip(max=len(order) - 1)]
