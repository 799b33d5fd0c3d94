"""`CleanError`: how much of the disagreement with labels is the network's own error."""

import itertools
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from nbam_pyro.errors import DataError
from nbam_pyro.models.priors.pseudo_counts import Beta

__all__ = ["CleanError", "CleanErrorLike"]

CleanErrorLike = Literal["open"] | tuple[float, float] | Beta | None
"""Prior of the clean error as estimators take it: see `CleanError.of`."""


@dataclass(frozen=True, kw_only=True)
class CleanError:
    r"""Prior of the clean error: which part of the disagreement is the network's own error.

    Networks predict the label of each row without having seen it, and disagree with some of the
    labels. In a part e of these rows the label is right, and the network is wrong, for example
    because the row is ambiguous and an expert would hesitate, too. In the others the label is
    wrong. Labels alone do not determine e:

    .. math:: e = \mathrm{low} + (\mathrm{high} - \mathrm{low})\, u, \qquad
              u \sim \mathrm{Beta}(a, b)

    Args:
        low: Smallest clean error, in [0, 1].
        high: Largest clean error, in [0, 1], above `low`.
        a: First number of the Beta distribution, positive.
        b: Second number of the Beta distribution, positive.
        open: True if nothing is known about the clean error. The verdict of a fit is then "cannot
            tell", because ambiguity and contamination are not distinguished.

    Raises:
        DataError: The limits are not numbers in [0, 1] in this order, or a or b is not positive.

    Example:
        >>> CleanError(low=0.25, high=0.75).probability(0.0, 0.5)
        0.5
    """

    low: float = 0.0
    high: float = 1.0
    a: float = 1.0
    b: float = 1.0
    open: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.low < self.high <= 1:
            raise DataError(
                f"The clean error is between {self.low} and {self.high}. Give two numbers in "
                "[0, 1], the smaller one first."
            )
        if not (self.a > 0 and self.b > 0):
            raise DataError(f"Beta({self.a}, {self.b}) is no distribution: give positive numbers.")

    @classmethod
    def of(cls, given: Any) -> "CleanError | None":
        """Return the prior of a value that a user has given.

        Args:
            given: None for the library's default, which depends on what can be seen; a pair
                (low, high) of equally probable values; `Beta(a, b)`; or "open".

        Raises:
            DataError: The value is none of these, or its numbers are out of range.

        Example:
            >>> CleanError.of((0.1, 0.5)).high, CleanError.of(Beta(2, 6)).b
            (0.5, 6.0)
        """
        if given is None:
            return None
        if isinstance(given, str) and given == "open":
            return cls(open=True)
        try:
            first, second = map(float, given)
        except (TypeError, ValueError) as error:
            raise DataError(
                f"clean_error is {given!r}. Give None, 'open', two numbers (low, high) in [0, 1], "
                "or Beta(a, b)."
            ) from error
        return cls(a=first, b=second) if isinstance(given, Beta) else cls(low=first, high=second)

    def probability(self, low: float, high: float) -> float:
        """Return the probability that the clean error lies between two numbers.

        Args:
            low: Smaller number.
            high: Larger number.
        """
        from scipy.stats import beta

        width = self.high - self.low
        below = beta.cdf([(low - self.low) / width, (high - self.low) / width], self.a, self.b)
        return float(below[1] - below[0])

    def weights(self, errors: Float[np.ndarray, " g"]) -> tuple[float, Float[np.ndarray, " g"]]:
        """Return the probability of "no label is wrong", and of each of the other explanations.

        Each explanation has the probability of the clean errors that are nearest to its own one. If
        no label is wrong, the clean error is 1.

        Args:
            errors: Clean error of each of the other explanations, (G,); it should fall.

        Returns:
            The probability that no label is wrong, and the weights of the other explanations, (G,),
            which sum to one.

        Example:
            >>> right, weights = CleanError(low=0.0, high=1.0).weights(np.array([0.8, 0.2]))
            >>> round(right, 3), weights.round(3).tolist()
            (0.1, [0.444, 0.556])
        """
        points = np.minimum.accumulate(np.r_[1.0, errors])
        edges = np.r_[1.0, (points[1:] + points[:-1]) / 2, 0.0]
        mass = np.array([self.probability(low, high) for high, low in itertools.pairwise(edges)])
        rest = mass[1:].sum()
        even = np.full(len(errors), 1 / len(errors))
        return float(mass[0]), mass[1:] / rest if rest > 0 else even
