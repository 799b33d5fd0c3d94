"""`reviewed`: what some verified data say about all responsibilities and about the share."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit, log_expit, logit

from nbam_pyro.checks.arguments import as_number, as_numbers
from nbam_pyro.decisions.probabilities import as_probabilities, as_switches
from nbam_pyro.decisions.shares import counted, small_share, unseen
from nbam_pyro.errors import DataError

__all__ = ["Reviewed", "reviewed"]

# With fewer verified data of either answer the interval is that of counting alone.
_FEW = 10
_FOLDS = 5
# Standard deviations of the prior of the recalibration: of its shift, and of the log of its slope.
_SHIFT, _SLOPE = 2.0, 0.7
# Responsibilities are at least this far from 0 and 1 before they are recalibrated.
_NEAR = 1e-6
# Largest shift of the logits.
_FAR = 60.0


@dataclass(frozen=True, eq=False)
class Reviewed:
    """Responsibilities and contaminated share after some data were verified.

    Attributes:
        responsibility: Recalibrated probability that each datum is contaminated, (N, ...), 0 or 1
            where it is verified. Its mean is `contamination`.
        contamination: Contaminated share of all data.
        contamination_interval: Ends of the central interval of this share.
        probability: Probability that the interval contains, for example 0.9.
        verified: Number of verified data.
        note: Sentence that states what the interval rests on.
    """

    responsibility: np.ndarray
    contamination: float
    contamination_interval: tuple[float, float]
    probability: float
    verified: int
    note: str


def reviewed(
    responsibility: Any,
    verified: Any,
    *,
    inclusion_probability: Any = None,
    probability: float = 0.9,
) -> Reviewed:
    r"""Correct responsibilities and the contaminated share by data that were verified at random.

    No network is trained. Three things happen:

    1. The logits of the responsibilities are shifted and stretched so that they predict the
       verified switches (Platt 1999), with a prior that they need no correction. The share uses
       values of verified data that were predicted without them, in five folds.
    2. The share is a difference estimator: the mean of :math:`\lambda r` over all data, plus the
       mean of :math:`z - \lambda r` over the verified ones, where z is the verified switch and
       :math:`\lambda` is the slope of z on r. It is unbiased however wrong the responsibilities
       are, and its interval is short if they are good. Its variance is that of a sample without
       replacement. Contaminated data among those that look certainly clean (r below .05) can be
       missing from the sample. Therefore the upper end is at least as high as an upper limit of
       their share, from the number of such data that were verified, demands. The lower end is
       treated likewise. The ends of the interval are whole numbers of data.
    3. One shift of all logits makes the mean responsibility equal to the share.

    With fewer than ten verified data of either answer, the interval is that of counting the
    verified data alone (a beta-binomial distribution), and the share is the mean of the
    recalibrated responsibilities.

    Args:
        responsibility: Probabilities that data are contaminated, (N, ...), from a fit that did not
            use the verified values, in any container that `flags` takes.
        verified: Whether each datum is verified as contaminated, (N, ...): 1 or true if it is
            contaminated, 0 or false if it is clean, NaN, None or -1 if nobody has looked.
        inclusion_probability: Probability with which each verified datum was drawn, (N, ...), above
            0 and at most 1, NaN where nothing is verified: the column of
            `review_queue(design="random")`. None if all data had the same probability. If data were
            chosen in another way, for instance because they looked suspicious, their switches say
            nothing about the others, and this function does not apply.
        probability: Probability that the interval contains, in (0, 1).

    Raises:
        DataError: A responsibility is not in [0, 1], a verified value is not one of the codes,
            nothing is verified, or an inclusion probability of a verified datum is missing or not
            in (0, 1].

    Source: Särndal, Swensson & Wretman (1992) for the difference estimator; Angelopoulos, Duchi &
    Zrnic (2023), PPI++, for :math:`\lambda`; Zrnic & Candès (2024) for the folds; Korn & Graubard
    (1998) for intervals of small shares; Zou & Donner (2008) for limits of sums; Kerman (2011) for
    the limit of a share of which nothing was seen.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> r = rng.beta(0.4, 1.6, 5000)
        >>> wrong = rng.random(5000) < r**0.5  # r is too small
        >>> looked = rng.random(5000) < 0.08
        >>> result = reviewed(r, np.where(looked, wrong, np.nan))
        >>> low, high = result.contamination_interval
        >>> bool(r.mean() < low < wrong.mean() < high)
        True
    """
    r = as_probabilities(responsibility, "responsibility")
    z = as_switches(verified, r.shape).ravel()
    level = as_number(probability, "probability")
    if not 0 < level < 1:
        raise DataError(f"probability is {probability}; it must lie in (0, 1).")
    sample = _Sample.of(r.ravel(), z, inclusion_probability)
    share, low, high, note = _share(sample, level)
    settled = _shifted(sample, share)
    share = math.fsum(settled) / len(settled)
    return Reviewed(
        responsibility=settled.reshape(r.shape),
        contamination=share,
        contamination_interval=(min(low, share), max(high, share)),
        probability=level,
        verified=len(sample.z),
        note=note,
    )


@dataclass(frozen=True, kw_only=True)
class _Sample:
    """Responsibilities of all data, and the verified ones among them.

    Attributes:
        logits: Logits of the responsibilities after recalibration, (N,).
        place: Places of the verified data, (n,).
        own: Recalibrated responsibilities of the verified data, without them, (n,).
        mean: Mean over all data of the responsibilities from the same folds, (n,).
        z: Verified switches, (n,).
        weight: One divided by the inclusion probability, (n,).
    """

    logits: np.ndarray
    place: np.ndarray
    own: np.ndarray
    mean: np.ndarray
    z: np.ndarray
    weight: np.ndarray

    @classmethod
    def of(cls, r: np.ndarray, switches: np.ndarray, inclusion: Any) -> "_Sample":
        """Recalibrate the responsibilities by all verified data, and without each fold of them."""
        place = np.flatnonzero(switches >= 0)
        if not len(place):
            raise DataError("verified has no verified datum. Verify some that are drawn at random.")
        z, raw = switches[place], logit(r.clip(_NEAR, 1 - _NEAR))
        fold = np.random.default_rng(0).permutation(len(place)) % _FOLDS
        own, mean = np.empty(len(place)), np.empty(len(place))
        for one in np.unique(fold):
            inside = fold == one
            moved = expit(_recalibrated(raw, place[~inside], z[~inside]))
            own[inside], mean[inside] = moved[place[inside]], moved.mean()
        return cls(
            logits=_recalibrated(raw, place, z),
            place=place,
            own=own,
            mean=mean,
            z=z,
            weight=1 / _inclusion(inclusion, place, len(r)),
        )


def _inclusion(values: Any, place: np.ndarray, rows: int) -> np.ndarray:
    """Return the probabilities with which the verified data were drawn, (n,)."""
    if values is None:
        return np.full(len(place), len(place) / rows)
    numbers = as_numbers(values, "inclusion_probability").astype(float).ravel()
    if len(numbers) != rows:
        raise DataError(
            f"inclusion_probability has {len(numbers)} values, but there are {rows} data. Give one "
            "for each, NaN where nothing is verified."
        )
    own = numbers[place]
    wrong = ~((own > 0) & (own <= 1))
    if wrong.any():
        raise DataError(
            f"inclusion_probability is {own[wrong][0]} in row {place[wrong][0]}, which is "
            "verified. It must lie in (0, 1]."
        )
    return own


def _recalibrated(raw: np.ndarray, place: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Return shifted and stretched logits of all data, fitted to some verified switches."""
    from scipy.optimize import minimize

    at, sign = raw[place], 2 * z - 1

    def loss(shift_slope: np.ndarray) -> float:
        shift, log_slope = shift_slope
        fit = log_expit(sign * (shift + math.exp(log_slope) * at)).sum()
        return float(-fit + 0.5 * (shift / _SHIFT) ** 2 + 0.5 * (log_slope / _SLOPE) ** 2)

    shift, log_slope = minimize(loss, np.zeros(2), method="L-BFGS-B").x
    moved: np.ndarray = shift + math.exp(log_slope) * raw
    return moved


def _share(sample: _Sample, level: float) -> tuple[float, float, float, str]:
    """Return the share of all data, the ends of its interval, and what they rest on."""
    n, rows, z, w = len(sample.z), len(sample.logits), sample.z, sample.weight
    tail = (1 - level) / 2
    least, most = z.sum() / rows, 1 - (1 - z).sum() / rows
    if min(z.sum(), n - z.sum()) < _FEW:
        mean = float(expit(sample.logits).mean())
        low, high = counted(z, w, rows, tail)
        note = (
            f"Fewer than {_FEW} of the {n} verified data are contaminated, or fewer are clean, so "
            "the interval is that of counting them."
        )
    else:
        total = w.sum()
        centred = sample.own - w @ sample.own / total
        spread = w @ centred**2
        slope = float(np.clip((w * z) @ centred / spread, 0, 1)) if spread > 0 else 0.0
        error = z - slope * (sample.own - sample.mean)
        mean = float(w @ error / total)
        # Linearised variance of a ratio, of a sample without replacement; one term per datum.
        variance = n / (n - 1) * w**2 * (1 - 1 / w) * (error - mean) ** 2 / total**2
        low, high = small_share(mean, float(variance.sum()), n, tail)
        # Few of the data that look certain are drawn. Perhaps none of those that are not so is.
        low = min(low, mean - unseen(1 - sample.own, 1 - z, w, variance, tail))
        high = max(high, mean + unseen(sample.own, z, w, variance, tail))
        note = (
            f"The interval rests on {n} data that were verified at random, and on the "
            "responsibilities as far as these confirm them."
        )
    # A number of contaminated data is whole. Good responsibilities give narrower intervals.
    low, high = math.floor(low * rows + _NEAR) / rows, math.ceil(high * rows - _NEAR) / rows
    ends = np.clip([mean, low, high], least, most)
    return float(ends[0]), float(ends[1]), float(ends[2]), note


def _shifted(sample: _Sample, share: float) -> np.ndarray:
    """Return responsibilities of all data, with their mean at a share and verified ones known."""
    from scipy.optimize import brentq

    rows = len(sample.logits)
    open_ = np.ones(rows, bool)
    open_[sample.place] = False
    settled = np.zeros(rows)
    settled[sample.place] = sample.z
    logits = sample.logits[open_]
    if not len(logits):
        return settled
    target = (share * rows - sample.z.sum()) / len(logits)

    def gap(shift: float) -> float:
        return float(expit(logits + shift).mean() - target)

    if gap(-_FAR) >= 0:
        settled[open_] = 0.0
    elif gap(_FAR) <= 0:
        settled[open_] = 1.0
    else:
        settled[open_] = expit(logits + brentq(gap, -_FAR, _FAR))
    return settled
