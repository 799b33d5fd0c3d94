"""Which data a person should check: those that are worth most, or a random sample."""

from typing import Any, Literal

import numpy as np
import pandas as pd

from nbam_pyro.checks.arguments import as_number
from nbam_pyro.decisions.goals import Goal, Posteriors
from nbam_pyro.errors import DataError

__all__ = ["inclusion_probabilities", "review_queue"]

# Every datum is drawn at least with this part of the probability of a uniform draw. With a smaller
# part, contaminated data that look certainly clean are too often missing from the sample.
_FLOOR = 0.5


def review_queue(
    responsibility: Any,
    *,
    budget: int,
    goal: Goal | None = None,
    design: Literal["sorted", "random"] = "sorted",
    seed: int = 0,
) -> pd.DataFrame:
    r"""Return the data to review: those that are worth most first, or a random sample.

    Let r be the responsibility of a datum and :math:`p_c` the probability of its true class c. The
    goal says what the answers are for, and therefore what each is worth:

    * None: to find contaminated data. The value is r.
    * "flags": to avoid wrong and missing flags, before a decision or another fit. The value is
      :math:`\min(r, 1 - r)`, the probability that a flag at one half is wrong. Data that are surely
      contaminated come late: they are flagged without an answer.
    * "verdict": to decide what the verdict of a fit of labels leaves open. The value is the largest
      :math:`p_c` of the open classes. The classes of a pair whose names may be exchanged come
      first, in turn, each with the ten rows that most surely belong to it. Then other open classes
      join, with their rows in random order. If only the share is open, all rows are in random
      order.
    * "rates": to learn the rates of the classes. The next datum is taken from the class c whose
      rate is least known, the one with the largest sum of :math:`v_c = p_c (1 - p_c) / n_c^2` over
      data without an answer, with :math:`n_c = \sum p_c`. The value is the largest :math:`v_c`.

    A sorted queue does not show how many contaminated data are left, because the other data are
    never looked at. For that, use the random design: each datum is drawn with its own known
    probability, and at least half of that of a uniform draw. This probability is proportional
    to :math:`\sqrt{r (1 - r)}`, which is best for the share, or to the value if the goal is
    "verdict" or "rates". `reviewed` corrects for it.

    Args:
        responsibility: Probabilities that data are contaminated, (N,) or (N, *dims), in any
            container that `flags` takes; or a `Fit`, whose training rows are reviewed. The goals
            "verdict" and "rates" need a fit of labels.
        budget: Number of data to review, a whole number of at least 1. If there are fewer data, all
            are returned.
        goal: What the answers are for, as above.
        design: "sorted" for the data that are worth most, "random" for a sample.
        seed: Seed of the sample, and of the order of data that are worth the same.

    Returns:
        A table with one row per datum in the order of review: row (and dim_1, ... if targets have
        several elements), responsibility, and expected_true_positives, the expected number of
        contaminated data up to this one. With a goal, there is a column value, as above. With the
        random design the order is random, and there is a column inclusion_probability, the
        probability with which this datum was drawn. Pass it to `reviewed`.

    Raises:
        DataError: There are no rows, a responsibility is not in [0, 1], the budget is not a
            positive whole number, the goal or the design has another name, the goal needs a fit of
            labels, or the goal is "verdict" and the verdict is "identified".

    Source: Sampling with unequal probabilities is from Madow (1949); the best probabilities for a
    difference estimator are from Särndal, Swensson & Wretman (1992), section 12.2. Expected errors
    avoided as the value of an answer: Roy & McCallum (2001).

    Example:
        >>> review_queue(np.array([0.2, 0.9, 0.5]), budget=2)
           row  responsibility  expected_true_positives
        0    1             0.9                      0.9
        1    2             0.5                      1.4
        >>> review_queue(np.array([0.2, 0.99, 0.5]), budget=2, goal="flags")["row"].tolist()
        [2, 0]
        >>> sample = review_queue(np.array([0.2, 0.9, 0.5, 0.0]), budget=2, design="random")
        >>> list(sample)[-1]
        'inclusion_probability'
    """
    posteriors = Posteriors.of(responsibility)
    r = posteriors.responsibility
    number = as_number(budget, "budget")
    if not number >= 1 or not number.is_integer():
        raise DataError(f"budget is {budget}; it must be a whole number of at least 1.")
    if design not in ("sorted", "random"):
        raise DataError(f'design is {design!r}. Write "sorted" or "random".')
    flat, count = r.ravel(), min(int(number), r.size)
    rng = np.random.default_rng(seed)
    value = None if goal is None else posteriors.value(goal)
    if design == "sorted":
        if goal is None or value is None:
            return _table(r, (-flat).argsort(kind="stable")[:count])
        return _table(r, posteriors.order(goal, value, rng)[:count], value)
    size = np.sqrt(flat * (1 - flat)) if value is None or goal == "flags" else value
    included = _drawn_by(size, count)
    order = rng.permutation(_systematic(included, rng))
    return _table(r, order, value).assign(inclusion_probability=included[order])


def _table(r: np.ndarray, order: np.ndarray, value: np.ndarray | None = None) -> pd.DataFrame:
    """Return the table of a queue.

    Args:
        r: Responsibilities, (N, ...).
        order: Places of the data in the flattened array, in the order of review.
        value: What the answer about each datum is worth, in the flattened array; None without a
            goal.
    """
    places = np.unravel_index(order, r.shape)
    names = ["row", *(f"dim_{i}" for i in range(1, r.ndim))]
    chosen = r.ravel()[order]
    return pd.DataFrame(
        {
            **dict(zip(names, places, strict=True)),
            "responsibility": chosen,
            "expected_true_positives": chosen.cumsum(),
            **({} if value is None else {"value": value[order]}),
        }
    )


def inclusion_probabilities(r: np.ndarray, count: int) -> np.ndarray:
    """Return the probabilities with which the random design draws each datum, (N,).

    Args:
        r: Responsibilities, (N,).
        count: Number of data that are drawn, at most N. It is the sum of the probabilities.

    Example:
        >>> inclusion_probabilities(np.array([0.5, 0.5, 0.0]), 2).round(2)
        array([0.83, 0.83, 0.33])
    """
    return _drawn_by(np.sqrt(r * (1 - r)), count)


def _drawn_by(size: np.ndarray, count: int) -> np.ndarray:
    """Return inclusion probabilities in proportion to a size, but with a floor, (N,)."""
    total, n = size.sum(), len(size)
    value = _FLOOR + (1 - _FLOOR) * (size / total * n if total > 0 else np.ones(n))
    certain = np.zeros(n, bool)
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
