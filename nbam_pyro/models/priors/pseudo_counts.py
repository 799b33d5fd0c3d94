"""Hyper-parameters of the priors, as plain values shared by the losses and the stories."""

import math
from dataclasses import dataclass
from typing import NamedTuple

from nbam_pyro.errors import DataError

__all__ = ["Beta", "FlipPrior"]


class Beta(NamedTuple):
    """Beta(a, b), the prior of a contamination rate as pseudo-counts.

    Args:
        a: of contaminated data, positive.
        b: of clean data, positive.

    Example:
        >>> Beta(2, 8).mean
        0.2
    """

    a: float
    b: float

    @property
    def mean(self) -> float:
        """The expected rate."""
        return self.a / (self.a + self.b)


@dataclass(frozen=True, kw_only=True)
class FlipPrior:
    r"""Priors of the latent-true-label story: rate_c ~ Beta(a, b), T_c ~ Dirichlet(c, ..., c).

    The default is uniform on rates and sparse on the rows of T: a class is usually mistaken for
    one or two others, not for all of them.

    Args:
        rate: (a, b) of the Beta prior on the contamination rate of each true class.
        flip: concentration c of the Dirichlet prior on each row of T.

    Raises:
        DataError: a value is not positive.

    Example:
        >>> FlipPrior(rate=(2.0, 8.0))
        FlipPrior(rate=(2.0, 8.0), flip=0.1)
    """

    rate: Beta | tuple[float, float] = (1.0, 1.0)
    flip: float = 0.1

    def __post_init__(self) -> None:
        if not all(0 < count < math.inf for count in (*self.rate, self.flip)):
            raise DataError(f"{self}: pseudo-counts of Beta and Dirichlet priors must be positive.")
