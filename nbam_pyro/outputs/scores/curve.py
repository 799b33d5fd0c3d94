"""The probability that a row is an anomaly, as a function of its score."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from nbam_pyro.checks.arguments import as_numbers, check_numbers
from nbam_pyro.errors import DataError

__all__ = ["ScoreCurve", "checked_scores"]


@dataclass(frozen=True, eq=False, kw_only=True)
class ScoreCurve:
    """The responsibility of an unverified row as a function of its score, in K steps.

    Attributes:
        starts: Scores above which the steps begin, (K,), in rising order. A row belongs to the last
            step whose start is below its score. The first start is minus infinity.
        responsibility: Probability that a row is an anomaly at each step, (K,). It rises.
    """

    starts: np.ndarray
    responsibility: np.ndarray

    @classmethod
    def through(cls, scores: np.ndarray, responsibility: np.ndarray) -> "ScoreCurve":
        """Return the curve through the responsibilities of rows.

        A step begins halfway between the highest score of a lower responsibility and the lowest
        score of a higher one. Scores above all rows have the responsibility of the highest row.

        Args:
            scores: Finite scores of rows, (N,).
            responsibility: Responsibility of each row as if it were not verified, (N,). It rises
                with the score and is the same for equal scores.

        Example:
            >>> curve = ScoreCurve.through(np.array([1.0, 2.0, 4.0]), np.array([0.1, 0.1, 0.9]))
            >>> curve.starts, curve.responsibility
            (array([-inf,   3.]), array([0.1, 0.9]))
            >>> curve(np.array([-9.0, 3.5, 99.0]))
            array([0.1, 0.9, 0.9])
        """
        order = np.argsort(scores, kind="stable")
        s, r = scores[order], responsibility[order]
        first = np.flatnonzero(np.diff(r)) + 1
        below, upper = s[first - 1], s[first]
        # Halves are added because differences of large scores overflow. The start must stay below
        # the upper score where no number lies between the two.
        starts = np.minimum(below / 2 + upper / 2, np.nextafter(upper, -np.inf))
        return cls(
            starts=np.r_[-np.inf, np.maximum(starts, below)], responsibility=r[np.r_[0, first]]
        )

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """Return the responsibilities of scores, (M,).

        Args:
            scores: Finite scores, (M,).
        """
        return self.responsibility[np.searchsorted(self.starts, scores, side="left") - 1]


def checked_scores(scores: Any) -> np.ndarray:
    """Return scores as an array of finite numbers, (N,).

    Args:
        scores: An array, a list, a tensor or a column.

    Raises:
        DataError: Scores are not a sequence of finite numbers, or there are none.
    """
    values = as_numbers(scores, "scores").astype(float)
    if values.ndim != 1 or not len(values):
        raise DataError(
            f"scores have shape {values.shape}; expected one score for each row, (N,), and at "
            "least one row."
        )
    check_numbers(values, "scores")
    return values
