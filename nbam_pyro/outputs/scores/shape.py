"""The shape of scores: a skewed bulk of normal rows, and anomalies that lie above it."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import expit, ndtr, ndtri, softmax

from nbam_pyro.outputs.scores.cells import Cells

__all__ = ["BULK", "MIXED", "PartShares", "Shape", "prior_shares"]

# Normal priors (mean, standard deviation) of the unknowns, in units of the standardised scores.
# Means and widths of slopes, place and spread describe scores of four detectors on the development
# tables that benchmarks/detection/from_scores.py names.
_PRIORS = {
    "middle": (0.0, 0.5),
    "log_width": (0.0, 0.5),
    "left_slope": (0.5, 0.35),
    "log_right_slope": (np.log(0.46), 0.6),
    "logit_hidden": (-7.25, 3.0),
    "logit_visible": (-2.0, 1.2),
    "log_place": (np.log(2.2), 0.4),
    "log_spread": (np.log(0.8), 0.35),
}
_MEANS, _WIDTHS = np.array(list(_PRIORS.values())).T
BULK, MIXED = 5, 8
"""Number of unknowns without and with a second part."""

# No family fits the scores of a detector exactly, and a small misfit of many rows looks like a
# second part. Therefore the shape counts as at most this many rows (Miller & Dunson 2019). The
# number was chosen on the development tables.
_ROWS = 150.0
# Normal priors (mean, standard deviation) of the middle and the log width of evenly spread scores.
_EVEN_MEANS, _EVEN_WIDTHS = np.array([(0.0, 0.5), (np.log(3.2), 0.3)]).T
# Scores beyond the end of a part are this many standard deviations away. The probability of a value
# that is further away is too small for a floating-point number.
_FAR = 37.0
_TINY = 1e-305
# Loss of log likelihood per share of anomalies above one half: anomalies are the smaller part.
_MAJORITY = 2000.0
# Smaller slopes are rounding errors, and the logarithm below would lose its digits.
_FLAT = 1e-6


class PartShares(NamedTuple):
    """Shares of rows according to P draws of the unknowns.

    Attributes:
        responsibility: Probability that a row in each cell is an anomaly, (P, K).
        log_cells: Log probability of each cell, (P, K).
    """

    responsibility: np.ndarray
    log_cells: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Shape:
    r"""The posterior of the shape of scores, given counts in cells.

    The standardised score of a normal row is a skewed transformation of a standard normal number z,
    with the location mu and the scale sigma,

    .. math:: s = \mu + \sigma \frac{e^{a z} - 1}{a},

    with a slope a = a_l below the middle and a = a_r above it. The family contains the normal (a
    near 0) and the shifted lognormal distribution. The transformed score of a visible anomaly is
    normal with a higher mean and another spread. A hidden anomaly has the score of a normal row.
    The probability that a row is an anomaly never falls with the score: where the ratio of the two
    densities falls, it is held constant.

    Ranks, and shares of rows with a lower score, are spread evenly. With `even`, the bulk is a
    uniform distribution instead.

    Scores do not show how many anomalies are hidden. That number keeps its prior unless rows are
    verified.

    Attributes:
        cells: Counts of scores.
        normal: Number of rows in each cell that are verified as normal, (K,).
        anomalous: Number of rows in each cell that are verified as anomalies, (K,).
        even: Whether normal scores are spread evenly. The slopes then have no effect.
    """

    cells: Cells
    normal: np.ndarray
    anomalous: np.ndarray
    even: bool = False

    def draws(self, count: int, unknowns: int, rng: np.random.Generator) -> np.ndarray:
        """Draw the unknowns from their prior, (P, D).

        Args:
            count: Number of draws, P.
            unknowns: Number of unknowns, D: `BULK` without a second part, or `MIXED` with a second
                part.
            rng: Source of randomness.
        """
        means, widths = self._prior(unknowns)
        return rng.normal(means, widths, (count, unknowns))

    def log_prior(self, values: np.ndarray) -> np.ndarray:
        """Log prior density up to a constant, (P, D) -> (P,)."""
        means, widths = self._prior(values.shape[1])
        return np.asarray(-0.5 * (((values - means) / widths) ** 2).sum(1))

    def log_likelihood(self, values: np.ndarray) -> np.ndarray:
        """Log likelihood of the counts and of the verified rows, (P, D) -> (P,).

        Verified rows have full weight, because a person looked at them. Their term is the
        probability of the verified result given the score. People may therefore choose the rows to
        verify by their scores.
        """
        shares = self.shares(values)
        count = self.cells.counts.sum()
        total = shares.log_cells @ (self.cells.counts * min(1.0, _ROWS / count))
        share = shares.responsibility @ self.cells.counts / count
        total = total - _MAJORITY * np.maximum(share - 0.5, 0)
        if self.normal.any() or self.anomalous.any():
            r = shares.responsibility.clip(1e-12, 1 - 1e-12)
            total = total + np.log(r) @ self.anomalous + np.log1p(-r) @ self.normal
        return np.asarray(total)

    def shares(self, values: np.ndarray) -> PartShares:
        """Return responsibilities and probabilities of cells at draws of the unknowns, (P, D)."""
        z = (_of_even if self.even else _of_skewed)(values, self.cells.edges)
        bulk = _cell_shares(z)
        hidden = expit(values[:, 4:5]) / 2
        if values.shape[1] == BULK:
            return PartShares(np.broadcast_to(hidden, bulk.shape), np.log(bulk + _TINY))
        visible = expit(values[:, 5:6]) / 2
        place, spread = np.exp(values[:, 6:8, None]).swapaxes(0, 1)
        second = visible * _cell_shares((z - place) / spread)
        both = (1 - visible) * bulk + second + _TINY
        r = self._rising(second / both)
        return PartShares(r + (1 - r) * hidden, np.log(both))

    def _prior(self, unknowns: int) -> tuple[np.ndarray, np.ndarray]:
        means, widths = _MEANS[:unknowns], _WIDTHS[:unknowns]
        if not self.even:
            return means, widths
        return np.r_[_EVEN_MEANS, means[2:]], np.r_[_EVEN_WIDTHS, widths[2:]]

    def _rising(self, r: np.ndarray) -> np.ndarray:
        """Make responsibilities rise with the score, from the middle row outwards, (P, K)."""
        counts = self.cells.counts
        middle = int(np.searchsorted(counts.cumsum(), counts.sum() / 2))
        below = np.minimum.accumulate(r[:, middle::-1], axis=1)[:, ::-1]
        above = np.maximum.accumulate(r[:, middle:], axis=1)
        return np.concatenate([below, above[:, 1:]], axis=1)


def prior_shares(count: int, unknowns: int, rng: np.random.Generator) -> np.ndarray:
    """Draw the share of anomalies from its prior, (P,).

    Args:
        count: Number of draws, P.
        unknowns: Number of unknowns of the model: `BULK` or `MIXED`.
        rng: Source of randomness.
    """
    values = rng.normal(_MEANS[:unknowns], _WIDTHS[:unknowns], (count, unknowns))
    hidden = expit(values[:, 4]) / 2
    visible = expit(values[:, 5]) / 2 if unknowns == MIXED else np.zeros(count)
    share = visible + (1 - visible) * hidden
    return np.asarray(rng.choice(share, count, p=softmax(-_MAJORITY * np.maximum(share - 0.5, 0))))


def _of_even(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Standard normal value of each edge under a uniform distribution, (P, K - 1)."""
    middle, log_width = values[:, :2, None].swapaxes(0, 1)
    share = (edges - middle) / np.exp(log_width) + 0.5
    return np.asarray(ndtri(share.clip(0, 1)).clip(-_FAR, _FAR))


def _of_skewed(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Standard normal value of each edge under the skewed bulk, (P, K - 1)."""
    middle, log_width, left, log_right = values[:, :4, None].swapaxes(0, 1)
    x = (edges - middle) / np.exp(log_width)
    slope = np.where(x < 0, np.where(abs(left) < _FLAT, _FLAT, left), np.exp(log_right) + _FLAT)
    inside = 1 + slope * x
    z = np.where(inside > 0, np.log(np.maximum(inside, _TINY)) / slope, np.sign(x) * _FAR)
    return np.asarray(z.clip(-_FAR, _FAR))


def _cell_shares(z: np.ndarray) -> np.ndarray:
    """Probability of each cell between standard normal values, (P, K - 1) -> (P, K)."""
    ends = np.zeros((len(z), 1))
    return -np.diff(np.concatenate([ends + 1, ndtr(-z.clip(max=_FAR)), ends], axis=1), axis=1)
