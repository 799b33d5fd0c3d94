"""How scores of several kinds become one score: their units, and their weights without labels."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from nbam_pyro.detection.scores import mean_of_members

__all__ = ["Mixing"]

# The weight of a kind is exp(_SHARPNESS * agreement). It was chosen on the twelve tables of ODDS
# that benchmarks/detection/default_detector.py names.
_SHARPNESS = 4.0
# Distance of the 10 % quantile of a normal distribution from its median, in standard deviations.
_TENTH = 1.282
# Standardised scores beyond this say nothing more.
_FURTHEST = 100.0


@dataclass(frozen=True, eq=False, kw_only=True)
class Mixing:
    r"""The numbers that turn the scores of K kinds into one score.

    .. math:: s(x) = \sum_k w_k \frac{s_k(x) - m_k}{u_k}

    m_k is the median of the scores of kind k on the training rows. The unit u_k is the distance of
    their 10 % quantile from the median, which anomalies change little.

    Attributes:
        middle: Median of each kind, (K,).
        unit: Unit of each kind, (K,).
        weight: Weight of each kind, (K,), with the sum 1.
    """

    middle: np.ndarray
    unit: np.ndarray
    weight: np.ndarray

    @classmethod
    def of(cls, parts: Sequence[np.ndarray]) -> "Mixing":
        """Return the units and weights for scores of the training rows.

        Args:
            parts: Scores of the N training rows by the parts of each kind, K arrays (R, N).

        Example:
            >>> rows = np.arange(9.0)
            >>> alike, other = rows[None], np.array([[3.0, 1, 4, 1, 5, 9, 2, 6, 5]])
            >>> Mixing.of([alike, 2 * alike, other]).weight.round(2)
            array([0.46, 0.46, 0.08])
        """
        scores = np.stack([mean_of_members(one) for one in parts])
        low, middle = np.quantile(scores, [0.1, 0.5], axis=1)
        unit = (middle - low) / _TENTH
        smallest = 1e-9 * np.maximum(abs(middle), 1e-300)
        # If a tenth of the rows or more have the median score, the quantile has no distance.
        unit = np.where(unit > smallest, unit, scores.std(1))
        return cls(
            middle=middle, unit=np.where(unit > smallest, unit, 1.0), weight=_weights(parts, scores)
        )

    def __call__(self, parts: Sequence[np.ndarray]) -> np.ndarray:
        """Return the scores of rows, (M,).

        Args:
            parts: Scores of rows by the parts of each kind, K arrays (R, M).
        """
        scores = np.stack([mean_of_members(one) for one in parts])
        standard = (scores - self.middle[:, None]) / self.unit[:, None]
        weighted = self.weight[:, None] * standard.clip(-_FURTHEST, _FURTHEST)
        return mean_of_members(len(parts) * weighted)


def _weights(parts: Sequence[np.ndarray], scores: np.ndarray) -> np.ndarray:
    """Return weights that rise with the agreement and the stability of each kind, (K,).

    The agreement of a kind is the correlation of its surprisals with the sum of those of all other
    kinds. Its stability is the correlation between two halves of its parts. A surprisal is minus
    the log of the share of rows with a higher score. It counts the rows with high scores most.
    """
    surprisals = np.stack([_surprisal(one) for one in scores])
    total = surprisals.sum(0)
    agreement = [
        _correlation(one, total - one) * _stability(part)
        for one, part in zip(surprisals, parts, strict=True)
    ]
    weight = np.exp(_SHARPNESS * np.array(agreement))
    return np.asarray(weight / weight.sum())


def _stability(parts: np.ndarray) -> float:
    if len(parts) == 1:
        return 1.0
    halves = [_surprisal(mean_of_members(parts[start::2])) for start in (0, 1)]
    half = max(_correlation(*halves), 0.0)
    # All parts together are more stable than a half of them (Spearman & Brown).
    return 2 * half / (1 + half)


def _surprisal(scores: np.ndarray) -> np.ndarray:
    return np.asarray(-np.log1p(-rankdata(scores) / (len(scores) + 1)))


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Return the correlation of two arrays, and 0 if one of them is constant."""
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])
