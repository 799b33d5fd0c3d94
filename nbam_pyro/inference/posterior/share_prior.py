r"""The prior of the share of wrong labels in a fit, given what can be seen.

Labels do not determine how many of them are wrong. But two estimates can be seen, and across data
sets it is known how far the truth is from them: the share by the predictions of the true label as
they are, and the share by `from_pred_probs` from plain predictions of the observed labels. If
labels are wrong, the logit of the share has a Student-t distribution,

.. math:: \operatorname{logit} s \sim t_5(c(v), \exp w(v)),

and "no label is wrong" has the probability :math:`\operatorname{expit} r(v)`. c, w and r are linear
in numbers v that can be seen. With few training rows the coefficients are others, because the
recipe is another one.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from scipy.special import expit, logit, stdtr

from nbam_pyro.inference.steps.by_rows import FEW
from nbam_pyro.inference.steps.evidence import Evidence
from nbam_pyro.models.priors.pseudo_counts import FlipPrior
from nbam_pyro.outputs.label_readings import RARE, Readings
from nbam_pyro.outputs.predicted import Predicted
from nbam_pyro.outputs.sharpness_prior import FREEDOM
from nbam_pyro.outputs.transition import Transition
from nbam_pyro.verified import NOTHING

__all__ = ["FITTED", "FITTED_FEW", "LOG_SCALES", "Seen", "SharePrior", "fitted_for"]

LOG_SCALES = (-3.0, 1.2)
"""Limits of the log scale of the logit of the share."""

# Largest probability, before rows are verified, that no label is wrong.
_SUREST = 0.9
# Smallest part of an entropy, and smallest frequency of a class, which may have no weight.
_LEAST, _TINY = 0.01, 1e-12


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Numbers that can be seen of a fit.

    Shares are in logits; a share of n rows is at least half a row away from 0 and 1.

    Attributes:
        fit: Share of wrong labels by the predictions of the true label, at sharpness 1.
        plain: Share by plain predictions of the observed labels, if labels are wrong: the mean over
            the sharpness.
        plain_right: Logit of the probability that no label is wrong, by plain predictions.
        disagreement: Share of the rows whose label is not the most probable true label.
        entropy: Logarithm of the mean entropy of the predictions of the true label, as a part of
            the largest entropy.
        unexplained: Logarithm of the part of the entropy of the labels that the fit does not
            explain.
    """

    fit: float
    plain: float
    plain_right: float
    disagreement: float
    entropy: float
    unexplained: float

    @classmethod
    def of(
        cls, evidence: Evidence, usual: Transition, plain: Evidence, prior: FlipPrior | None
    ) -> "Seen":
        """Return the numbers of a fit.

        Args:
            evidence: Out-of-fold predictions of the true label, and observed labels.
            usual: Rates and flips at sharpness 1.
            plain: Out-of-fold predictions of the observed labels.
            prior: Prior on rates and flips; None for that of `from_pred_probs`.
        """
        n = len(evidence.labels)
        found = _plain_readings(plain, prior or RARE)
        shares = _logit(np.array([one.share for one in found.transitions]), n)
        weight = found.weight / found.weight.sum()
        return cls(
            fit=float(_logit(usual.share, n)),
            plain=float(weight @ shares),
            plain_right=float(logit(np.clip(found.all_right, 0.003, 0.97))),
            disagreement=float(_logit(evidence.disagrees.double().mean().item(), n)),
            entropy=_log_entropy(evidence),
            unexplained=_log_unexplained(evidence, usual),
        )

    @property
    def fit_more(self) -> float:
        """By how much the share by the fit exceeds that by plain predictions; 0 if it does not."""
        return max(self.fit - self.plain, 0.0)

    @property
    def for_centre(self) -> Float[np.ndarray, " c"]:
        """Numbers that the centre depends on, a constant first."""
        larger, smaller = max(self.fit, self.plain), min(self.fit, self.plain)
        return np.array([1, larger, smaller, self.entropy, self.disagreement, self.plain_right])

    @property
    def for_spread(self) -> Float[np.ndarray, " w"]:
        """Numbers that the log scale depends on, a constant first."""
        plain_more = max(self.plain - self.fit, 0.0)
        return np.array(
            [1, self.fit_more, plain_more, self.entropy, self.disagreement, self.plain_right]
        )

    @property
    def for_right(self) -> Float[np.ndarray, " r"]:
        """Numbers that the probability of "no label is wrong" depends on, a constant first."""
        return np.array([1, self.plain_right, self.fit, self.fit_more, self.unexplained])


@dataclass(frozen=True, kw_only=True)
class SharePrior:
    """Coefficients of the prior.

    Attributes:
        centre: Coefficients of the centre of the logit of the share, for `Seen.for_centre`.
        spread: Coefficients of the log of its scale, for `Seen.for_spread`.
        right: Coefficients of the logit of the probability that no label is wrong, for
            `Seen.for_right`.
    """

    centre: tuple[float, ...]
    spread: tuple[float, ...]
    right: tuple[float, ...]

    def right_weight(self, seen: Seen) -> float:
        """Return the prior probability that no label is wrong.

        Args:
            seen: Numbers of a fit.
        """
        return float(min(expit(seen.for_right @ np.array(self.right)), _SUREST))

    def weights(self, seen: Seen, shares: Float[np.ndarray, " g"]) -> Float[np.ndarray, " g"]:
        """Return the prior weights of estimates of the share, if labels are wrong.

        Each estimate has the probability of the shares that are nearest to it. Estimates before the
        smallest one have none: if predictions are very uncertain, wrong labels explain the rest.

        Args:
            seen: Numbers of a fit.
            shares: Shares of wrong labels at several sharpnesses, (G,), from the smallest to the
                largest sharpness.

        Returns:
            Weights that sum to one, (G,).
        """
        first = int(shares.argmin())
        rising = np.maximum.accumulate(shares[first:])
        middle = (rising[1:] + rising[:-1]) / 2
        centre = seen.for_centre @ np.array(self.centre)
        log_scale = np.clip(seen.for_spread @ np.array(self.spread), *LOG_SCALES)
        with np.errstate(divide="ignore"):  # The logit of 0 is minus infinity.
            below = stdtr(FREEDOM, (logit(middle) - centre) / np.exp(log_scale))
        return np.r_[np.zeros(first), np.diff(np.r_[0.0, below, 1.0])]


def _plain_readings(plain: Evidence, prior: FlipPrior) -> Readings:
    """Return the explanations of plain predictions, as `from_pred_probs` weighs them."""
    counted = plain[plain.weights > 0]
    n, k = counted.log_probs.shape
    data = Predicted(
        counted.log_probs.double(), counted.labels, None, pd.RangeIndex(k), pd.RangeIndex(n)
    )
    return Readings.of(data, prior=prior, class_prior=None, sharpness=None)


def _log_entropy(evidence: Evidence) -> float:
    weights = evidence.weights.double()
    mean = float(weights @ evidence.entropy.double() / weights.sum())
    return math.log(mean / math.log(evidence.log_probs.shape[1]) + _LEAST)


def _log_unexplained(evidence: Evidence, usual: Transition) -> float:
    """Return the log of the log loss of the labels, relative to that of their frequencies."""
    counts = torch.bincount(evidence.labels, evidence.weights, evidence.log_probs.shape[1]).double()
    frequency = (counts / counts.sum()).clamp_min(_TINY).log()[evidence.labels]
    unseen = replace(evidence, verified=NOTHING)
    weights = evidence.weights.double()
    chance = float(weights @ frequency)  # 0 if all labels are the same
    loss = float(weights @ unseen.log_marginals(evidence.latents(usual)).double())
    return math.log(max(loss / chance if chance < 0 else 1.0, _LEAST))


def _logit(share: float | np.ndarray, rows: int) -> np.ndarray:
    """Return logits of shares that are at least half a row away from 0 and 1."""
    return np.asarray(logit(np.clip(share, 0.5 / rows, 1 - 0.5 / rows)))


# Both fitted by `python -m benchmarks run share-development`.
FITTED = SharePrior(
    centre=(-0.0869, 0.5787, 0.3085, 0.1264, 0.0289, -0.0472),
    spread=(0.1378, 0.4503, 0.6401, 0.063, -0.0656, 0.4482),
    right=(-1.0898, 1.1523, -0.5205, -1.3427, 0.6876),
)
"""Prior for many training rows."""

FITTED_FEW = SharePrior(
    centre=(-0.0529, 0.5963, 0.3507, 0.0593, 0.0016, -0.0532),
    spread=(0.2659, 0.4138, 0.6784, 0.0007, -0.2149, 0.5417),
    right=(-1.7655, 0.9918, -0.8348, -1.8165, 0.2906),
)
"""Prior for few training rows."""


def fitted_for(training_rows: int) -> SharePrior:
    """Return the fitted prior for a number of training rows.

    Args:
        training_rows: Number of training rows.
    """
    return FITTED_FEW if training_rows < FEW else FITTED
