"""The base class of kinds of scores, of which a `MixedDetector` averages several."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np

__all__ = ["Kind", "Learned"]

Learned = Mapping[str, np.ndarray]
"""What a kind has learned from training rows: arrays by name, which can be saved."""


class Kind(ABC):
    """The base class of kinds of scores: an idea of what makes a row unusual.

    A kind is a frozen dataclass of settings. Most kinds score rows several times, each time with
    another part of the training rows. Such a score changes little if a part contains anomalies, and
    the differences show how stable the kind is.

    The score of a row must depend on the row alone, not on the rows that are scored with it.

    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass(frozen=True)
        ... class Far(Kind):
        ...     def learn(self, x, rng):
        ...         return {"middle": np.median(x, axis=0)}
        ...
        ...     def scores(self, learned, x):
        ...         return abs(x - learned["middle"]).max(1)[None]
        >>> far = Far()
        >>> x = np.array([[0.0, 1.0], [0.0, 2.0], [0.0, 9.0]])
        >>> far.scores(far.learn(x, np.random.default_rng(0)), x)
        array([[1., 0., 7.]])
    """

    @abstractmethod
    def learn(self, x: np.ndarray, rng: np.random.Generator) -> Learned:
        """Return arrays that are computed from training rows.

        Args:
            x: Scaled training rows, (N, D), with at least two rows.
            rng: Source of randomness.
        """

    @abstractmethod
    def scores(self, learned: Learned, x: np.ndarray) -> np.ndarray:
        """Return the scores of rows by each of R parts, (R, M), high for anomalies.

        Args:
            learned: Arrays from `learn`.
            x: Scaled rows, (M, D).
        """
