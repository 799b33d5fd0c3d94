r"""The prior of the sharpness of predicted probabilities, given what can be seen of them.

The story of `from_pred_probs` has a given predictor of the true label,

.. math:: f_{ic} = (1 - \epsilon) \frac{p_{ic}^a}{\sum_d p_{id}^a} + \epsilon\, \bar p_c,
          \qquad \epsilon = .005,

with the mean :math:`\bar p` over the rows. Two explanations compete:

* No label is wrong. All disagreements are mistakes of the classifier.
* Labels are wrong. Then :math:`\log a` has a Student-t distribution around
  :math:`\log a_y + m(s)` with scale :math:`\exp v(s)`. Here :math:`a_y` is the power at which p
  predicts the observed labels best, and s are numbers that can be seen, such as the held-out
  agreement of the classifier with the labels.

The logit of the weight of the first explanation, m and v are linear in s. Their coefficients were
fitted across data sets, classifiers and flips (benchmarks/calibration/sharpness_prior.py). The
labels themselves do not update the prior, because many difficult rows and few wrong labels look the
same to them as few difficult rows and many wrong labels: a cut posterior (Plummer 2015). Verified
rows do.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, stdtr

from nbam_pyro.outputs.sharpness_seen import Seen

__all__ = ["FITTED", "FREEDOM", "PLAUSIBLE", "POINTS", "POINT_WEIGHTS", "WIDE", "SharpnessPrior"]

# Degrees of freedom of the Student-t distribution of the log sharpness.
FREEDOM = 5.0
POINTS = np.array([-5.0, -3.0, -2.0, -1.4, -0.9, -0.45, 0.0, 0.45, 0.9, 1.4, 2.0, 3.0, 5.0])
"""Points of the log sharpness, in scales from its centre."""

_EDGES = np.r_[-np.inf, (POINTS[1:] + POINTS[:-1]) / 2, np.inf]
POINT_WEIGHTS = np.diff(stdtr(FREEDOM, _EDGES))
"""Prior weights of the points, which sum to one."""

WIDE = np.exp(np.linspace(-3.0, 3.4, 25))
"""Sharpnesses at which rates and flips are estimated if the clean error has a given prior."""

PLAUSIBLE = WIDE[WIDE > 0.3]
"""Sharpnesses of a fit without such a prior. Smaller ones make all predictions uncertain."""

# Smallest and largest log sharpness.
_ENDS = (math.log(0.05), math.log(30.0))
# Largest probability, before rows are verified, that no label is wrong.
_SUREST = 0.9


@dataclass(frozen=True)
class SharpnessPrior:
    """Coefficients of the prior of the sharpness; the numbers in `SEEN` are standardised first.

    Attributes:
        mean: Means of the numbers in `SEEN` across the development designs.
        scale: Standard deviations of the same numbers.
        right: Coefficients of the logit of the probability that no label is wrong, the constant
            first.
        centre: Coefficients of the centre of log a minus `Seen.log_power`, the constant first. a is
            the sharpness.
        spread: Coefficients of the log of the scale of the prior of log a, the constant first.
    """

    mean: tuple[float, ...]
    scale: tuple[float, ...]
    right: tuple[float, ...]
    centre: tuple[float, ...]
    spread: tuple[float, ...]

    def standardised(self, numbers: np.ndarray) -> np.ndarray:
        """Return a constant one and the standardised numbers, at most three scales from 0.

        Args:
            numbers: Numbers in the order of `SEEN`, (..., S).
        """
        z = ((numbers - np.array(self.mean)) / np.array(self.scale)).clip(-3, 3)
        return np.concatenate([np.ones((*z.shape[:-1], 1)), z], axis=-1)

    def right_weight(self, seen: Seen) -> float:
        """Return the prior probability that no label is wrong.

        Args:
            seen: Numbers that are computed from predictions and labels.
        """
        weight = expit(self.standardised(seen.numbers) @ np.array(self.right))
        return float(min(weight, _SUREST))

    def points(self, seen: Seen) -> tuple[np.ndarray, np.ndarray]:
        """Return values of the sharpness, and their prior weights if labels are wrong.

        Args:
            seen: Numbers that are computed from predictions and labels.

        Returns:
            Values in increasing order, and their weights, which sum to one.
        """
        z = self.standardised(seen.numbers)
        centre = seen.log_power + z @ np.array(self.centre)
        scale = float(np.exp(np.clip(z @ np.array(self.spread), -3, 1)))
        return np.exp((centre + scale * POINTS).clip(*_ENDS)), POINT_WEIGHTS


# Fitted by `python -m benchmarks run sharpness-development` to 840 development designs: 19 tables
# (iris, wine, Fashion-MNIST, ODDS, ADBench, simulations) with ten classifiers and five kinds of
# flips, and larger tables with networks, eight kinds of flips, and labels that a person gave.
FITTED = SharpnessPrior(
    mean=(
        -1.3891,
        -2.0475,
        -1.5193,
        -1.923,
        -0.1005,
        -3.6108,
        1.4109,
        5.1112,
        -2.2636,
        -1.7893,
        0.5785,
        2.4812,
        5.7227,
        3.7346,
    ),
    scale=(
        0.7428,
        1.2371,
        1.1942,
        1.2088,
        0.833,
        2.3728,
        0.7258,
        0.942,
        1.2527,
        1.2207,
        0.3113,
        3.1837,
        7.1888,
        6.3977,
    ),
    right=(
        -2.263,
        1.565,
        -1.6448,
        0.1152,
        -0.3986,
        0.249,
        -0.3548,
        -0.528,
        -0.6624,
        -0.8668,
        0.4178,
        -0.0152,
        0.6218,
        0.2057,
        0.0223,
    ),
    centre=(
        0.5916,
        -1.17,
        1.6813,
        -0.2541,
        0.9814,
        -0.1639,
        -0.295,
        -0.1966,
        0.031,
        0.4408,
        -0.3738,
        -0.4868,
        -0.9327,
        1.6495,
        -0.4532,
    ),
    spread=(
        -0.5888,
        -0.2854,
        0.1751,
        0.1076,
        0.2948,
        -0.0606,
        -0.236,
        -0.201,
        -0.1087,
        -0.2009,
        0.2047,
        0.1838,
        0.0211,
        0.123,
        0.2582,
    ),
)
"""Prior that `from_pred_probs` uses."""
