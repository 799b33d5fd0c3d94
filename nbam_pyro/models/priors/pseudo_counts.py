"""Pseudo-counts of the priors on rates and flips, which losses and stories share."""

import math
from dataclasses import dataclass
from typing import NamedTuple

from nbam_pyro.errors import DataError

__all__ = ["Beta", "FlipPrior"]


class Beta(NamedTuple):
    """Beta(a, b), the prior of a contamination rate.

    The numbers are pseudo-counts: the prior has the same effect as a contaminated and b clean
    targets in addition to the data.

    Args:
        a: Pseudo-count of contaminated targets, positive.
        b: Pseudo-count of clean targets, positive.

    Example:
        >>> Beta(2, 8).mean
        0.2
    """

    a: float
    b: float

    @property
    def mean(self) -> float:
        """Prior mean of the contamination rate."""
        return self.a / (self.a + self.b)


@dataclass(frozen=True, kw_only=True)
class FlipPrior:
    r"""Priors of `LabelFlip`: rate_c ~ Beta(a, b), T_c ~ Dirichlet(d, ..., d).

    rate_c is the probability that a label of true class c is flipped, and row T_c of the flip
    matrix holds the probabilities of the classes that a flipped label can get. The default prior is
    uniform on the rates and sparse on the rows of T, since a class is usually mistaken for one or
    two other classes and not for all of them.

    Args:
        rate: Pseudo-counts (a, b) of the Beta prior on the contamination rate of each true class.
        flip: Concentration d of the Dirichlet prior on each row of T, positive. Values below 1
            favour few other classes.

    Raises:
        DataError: A value is not positive and finite.

    Example:
        >>> FlipPrior(rate=(2.0, 8.0))
        FlipPrior(rate=(2.0, 8.0), flip=0.1)
    """

    rate: Beta | tuple[float, float] = (1.0, 1.0)
    flip: float = 0.1

    def __post_init__(self) -> None:
        if not all(0 < count < math.inf for count in (*self.rate, self.flip)):
            raise DataError(
                f"{self} has a pseudo-count that is not positive and finite; give positive, finite "
                "numbers for rate and flip."
            )
