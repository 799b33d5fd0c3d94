"""Estimates of rates and flips at every sharpness, and the weight of each."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy.special import logsumexp
from torch import Tensor

from nbam_pyro import functional as nf
from nbam_pyro.models.priors.clean_error import CleanError
from nbam_pyro.models.priors.pseudo_counts import FlipPrior
from nbam_pyro.outputs.predicted import Predicted
from nbam_pyro.outputs.sharpness_prior import FITTED, WIDE
from nbam_pyro.outputs.sharpness_seen import Seen, sharpened
from nbam_pyro.outputs.transition import Transition, estimate_transition

__all__ = ["RARE", "Readings", "unskilled"]

RARE = FlipPrior(rate=(1.0, 9.0))
"""Prior on rates and flips under which wrong labels are rare."""

# Least prior probability that no label is wrong if the data cannot tell: the classifier is no
# better than the most frequent class, or the share ranges over more than this width. Both numbers
# were chosen on the development designs of benchmarks/calibration/sharpness_prior.py.
_LEAST_RIGHT, _WIDE = 0.1, 0.3
# Standard errors by which the classifier must be better than the most frequent class.
_BETTER = 2.0


@dataclass(frozen=True, kw_only=True)
class Readings:
    """Explanations of labels and predicted probabilities, with weights that sum to one.

    One explanation says that no label is wrong. The others say that labels are wrong, one for each
    sharpness.

    Attributes:
        data: Predicted probabilities and labels.
        prior: Pseudo-counts of rates and flips.
        sharpness: Values of the sharpness, (G,).
        weight: Posterior probability of each sharpness, (G,).
        all_right: Posterior probability that no label is wrong.
        right_sharpness: Sharpness at which the predictions fit the labels best.
        transitions: Estimate at each sharpness, G of them.
        clean_error: Prior of the clean error, if a user has given one.
    """

    data: Predicted
    prior: FlipPrior
    sharpness: np.ndarray
    weight: np.ndarray
    all_right: float
    right_sharpness: float
    transitions: tuple[Transition, ...]
    clean_error: CleanError | None

    @classmethod
    def of(
        cls,
        data: Predicted,
        *,
        prior: FlipPrior,
        class_prior: float | None,
        sharpness: float | None,
        clean_error: CleanError | None = None,
    ) -> "Readings":
        """Estimate rates and flips at every sharpness, and weigh them.

        Args:
            data: Predicted probabilities and labels.
            prior: Pseudo-counts of rates and flips.
            class_prior: Pseudo-count of each class, or None.
            sharpness: Sharpness that is taken as known, or None.
            clean_error: Prior of the clean error; None for the fitted prior of the sharpness.
        """
        right, weights = 0.0, np.ones(1)
        if sharpness is not None:
            values, log_power = np.array([sharpness]), math.log(sharpness)
        else:
            seen = Seen.of(data.log_p, data.labels)
            log_power = seen.log_power
            if clean_error is None:
                values, weights = FITTED.points(seen)
                right = FITTED.right_weight(seen)
            else:
                values = WIDE
        transitions: list[Transition] = []
        for value in values:
            transitions.append(
                estimate_transition(
                    sharpened(data.log_p, float(value)),
                    data.labels,
                    prior=prior,
                    true_labels=data.true_labels,
                    start=transitions[-1].counts if transitions else None,
                    class_prior=class_prior,
                )
            )
        if clean_error is not None:
            right, weights = clean_error.weights(_clean_errors(data, values, transitions))
        elif sharpness is None and (unskilled(data) or _range(transitions, weights) > _WIDE):
            right = max(right, _LEAST_RIGHT)
        with np.errstate(divide="ignore"):  # The logarithm of 0 is the weight of an impossibility.
            log_weight = np.log(np.r_[right, (1 - right) * weights])
        log_weight += [
            _log_right(data),
            *(
                _log_verified(data, float(value), transition)
                for value, transition in zip(values, transitions, strict=True)
            ),
        ]
        after = np.exp(log_weight - logsumexp(log_weight))
        return cls(
            data=data,
            prior=prior,
            sharpness=values,
            weight=after[1:],
            all_right=float(after[0]),
            right_sharpness=math.exp(log_power),
            transitions=tuple(transitions),
            clean_error=clean_error,
        )

    def estimates(self) -> Iterator[tuple[float, Transition, Float[Tensor, "n k"]]]:
        """Yield the weight, the estimate and log f at each sharpness."""
        for weight, value, one in zip(self.weight, self.sharpness, self.transitions, strict=True):
            yield float(weight), one, sharpened(self.data.log_p, float(value))

    def matrix(self) -> Float[Tensor, "k k"]:
        """Return the posterior mean of M = p(observed | true), (K, K)."""
        k = self.data.log_p.shape[1]
        mean = self.all_right * torch.eye(k, dtype=torch.float64)
        for weight, one in zip(self.weight, self.transitions, strict=True):
            mean += float(weight) * one.matrix
        return mean

    def class_posterior(self) -> tuple[Float[Tensor, "n k"], np.ndarray]:
        """Return p(true label | x, y), averaged over all explanations.

        Returns:
            Probabilities, (N, K), and the number of responsibilities above one half at each
            sharpness, (G,).
        """
        labels = self.data.labels[:, None]
        mean = torch.zeros(self.data.log_p.shape, dtype=torch.float64)
        mean.scatter_(1, labels, self.all_right)
        flagged = []
        for weight, transition, log_f in self.estimates():
            posterior = _posterior(self.data, log_f, transition).double()
            flagged.append(int((posterior.gather(1, labels) < 0.5).sum()))
            mean.add_(posterior, alpha=weight)
        if (true := self.data.true_labels) is not None:
            known = (true >= 0).nonzero()[:, 0]
            mean[known] = torch.nn.functional.one_hot(true[known], mean.shape[1]).double()
        return mean, np.array(flagged)


def unskilled(data: Predicted) -> bool:
    """Return whether the classifier agrees with the labels no more than the most frequent class.

    Args:
        data: Predicted probabilities and labels.
    """
    n, k = data.log_p.shape
    agreement = float((data.log_p.argmax(-1) == data.labels).double().mean())
    most = float(data.labels.bincount(minlength=k).max()) / n
    return agreement - most < _BETTER * math.sqrt(most * (1 - most) / n)


def _range(transitions: list[Transition], weights: np.ndarray) -> float:
    """Return the width of the central 90 % of the contaminated share over the sharpness."""
    shares = np.array([one.share for one in transitions])
    order = shares.argsort()
    below = weights[order].cumsum() - weights[order] / 2
    low, high = np.interp([0.05, 0.95], below, shares[order])
    return float(high - low)


def _posterior(
    data: Predicted, log_f: Float[Tensor, "n k"], transition: Transition
) -> Float[Tensor, "n k"]:
    """Return p(true label | x, y) at one sharpness; verified rows are certain."""
    latents = transition.rate.logit().to(log_f), transition.flip.log().to(log_f)
    return nf.label_flip_log_posterior(
        transition.shifted(log_f), data.labels, *latents, true_label=data.true_labels
    ).exp()


def _clean_errors(data: Predicted, values: np.ndarray, transitions: list[Transition]) -> np.ndarray:
    """Return which part of the disagreement is the classifier's own error at each sharpness, (G,).

    It is the mean probability that the label is right, over the rows that the classifier predicts
    as another class, and 1 if there is no such row.
    """
    disagrees, labels = data.disagrees, data.labels[:, None]
    errors = np.ones(len(values))
    if disagrees.any():
        for i, (value, one) in enumerate(zip(values, transitions, strict=True)):
            posterior = _posterior(data, sharpened(data.log_p, float(value)), one)
            errors[i] = posterior.gather(1, labels)[disagrees].double().mean()
    return errors


def _log_right(data: Predicted) -> float:
    """Return 0 if no verified row contradicts that all labels are right, else minus infinity."""
    if data.true_labels is None:
        return 0.0
    known = data.true_labels >= 0
    return 0.0 if bool((data.true_labels == data.labels)[known].all()) else -math.inf


def _log_verified(data: Predicted, sharpness: float, transition: Transition) -> float:
    """Return the sum of log p(verified label | x, y), in nats."""
    if data.true_labels is None:
        return 0.0
    known = data.true_labels >= 0
    log_f = transition.shifted(sharpened(data.log_p, sharpness))[known]
    latents = transition.rate.logit().to(log_f), transition.flip.log().to(log_f)
    posterior = nf.label_flip_log_posterior(log_f, data.labels[known], *latents)
    return float(posterior.gather(1, data.true_labels[known, None]).double().sum())
