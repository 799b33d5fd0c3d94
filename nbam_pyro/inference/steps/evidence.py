"""Evidence on rates and flips: class probabilities from networks that did not see the labels."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nbam_pyro.functional import (
    label_flip_log_joint,
    label_flip_log_posterior,
    log_marginal,
    off_diagonal,
    transition_matrix,
    zero_diagonal,
)
from nbam_pyro.models.priors.pseudo_counts import FlipPrior
from nbam_pyro.outputs.intervals import transition_intervals
from nbam_pyro.outputs.transition import Transition, estimate_transition
from nbam_pyro.outputs.transition_inputs import EXPONENTS, without_wrong_labels
from nbam_pyro.training.rows import Rows
from nbam_pyro.verified import Verified

# The central interval of a Normal with this probability is two standard deviations wide.
_ONE_SIGMA = 0.6827
# Iterations of EM in `Evidence.updated_transition`.
_ITERATIONS = 100


@dataclass(frozen=True)
class Evidence:
    """Log probabilities of classes, predicted out of fold, and observed labels.

    A row that is predicted out of fold is predicted by networks that did not see its label. If
    targets have several elements, such as pixels, each element is a row here.

    Attributes:
        log_probs: Normalised log probabilities, (N, K). They are those of the observed label after
            a warm-up, and those of the true label after a joint fit.
        labels: Observed labels, (N,).
        weights: Number of times that each label counts, (N,).
        verified: Verified switches and true labels.
        class_prior: Pseudo-count of each class with which `shifted` has shifted the log
            probabilities; None if they were not shifted.
    """

    log_probs: Float[Tensor, "n k"]
    labels: Int[Tensor, " n"]
    weights: Float[Tensor, " n"]
    verified: Verified
    class_prior: float | None = None

    @classmethod
    def of(
        cls, log_probs: Float[Tensor, "n *dims k"], rows: Rows, index: np.ndarray | None = None
    ) -> "Evidence":
        """Return the evidence from predictions of rows of data.

        Args:
            log_probs: Normalised log probabilities of the rows, (N, *dims, K).
            rows: All rows of the fit.
            index: Indices of the predicted rows, (N,); None for all rows.
        """
        index = np.arange(len(rows)) if index is None else index
        y, verified = rows.y[index], rows.verified
        weights = rows.weights[index].reshape(-1, *[1] * (y.ndim - 1)).expand(y.shape)
        return cls(
            log_probs.flatten(end_dim=-2),
            y.flatten(),
            weights.flatten(),
            verified[index].flatten(),
        )

    def __getitem__(self, rows: Tensor | slice) -> "Evidence":
        """Return the evidence of some rows.

        Args:
            rows: Indices, (n,), booleans, (N,), or a slice.
        """
        return replace(
            self,
            log_probs=self.log_probs[rows],
            labels=self.labels[rows],
            weights=self.weights[rows],
            verified=self.verified[rows],
        )

    @property
    def true_labels(self) -> Int[Tensor, " n"] | None:
        """Verified true labels, (N,), -1 where unknown; None if nothing is verified."""
        return self.verified.label(self.labels) if len(self.verified) else None

    @property
    def disagrees(self) -> Bool[Tensor, " n"]:
        """Whether the label of each row is not the most probable class, (N,)."""
        return self.log_probs.argmax(1) != self.labels

    @property
    def entropy(self) -> Float[Tensor, " n"]:
        """Entropy of the class probabilities of each row, (N,), in nats."""
        return torch.special.entr(self.log_probs.exp()).sum(-1)

    @property
    def occupied_entropy(self) -> float:
        """Entropy of the mean class probabilities, in nats; large if classes are equally frequent.

        `occupied_entropy` minus the mean of `entropy` is the information that x has about the
        class.
        """
        mean = self.weights @ self.log_probs.exp() / self.weights.sum()
        return float(torch.special.entr(mean).sum())

    def log_marginals(
        self, latents: Mapping[str, Tensor], deviation: Tensor | None = None
    ) -> Float[Tensor, " n"]:
        """Return log p(y | x) of every row, (N,).

        For a verified row it is the log marginal of y and the verified value.

        Args:
            latents: Contamination rates and rows of the flip matrix T, by site name.
            deviation: Deviation g(x), the number that is added to the logit of each row's rate,
                (N,); None for no deviation.
        """
        known = self.verified.codes
        log_flip = zero_diagonal(latents["flip"].log(), fill=-math.inf)
        rate = latents["rate"].logit()
        return log_marginal(
            *label_flip_log_joint(self.log_probs, self.labels, rate, log_flip, deviation, **known)
        )

    def latents(self, transition: Transition) -> dict[str, Tensor]:
        """Return rates and rows of T, by site name of `LabelFlip`, in the precision of `log_probs`.

        Args:
            transition: Estimate of contamination rates and of the flip matrix T.
        """
        flips = off_diagonal(transition.flip)
        return {"rate": transition.rate.to(self.log_probs), "flip": flips.to(self.log_probs)}

    def posterior(self, latents: Mapping[str, Tensor]) -> Float[Tensor, "n k"]:
        """Return p(true label | x, y) of every row, (N, K), given its verified value if any.

        Args:
            latents: Contamination rates and rows of the flip matrix T, by site name.
        """
        known = self.verified.codes
        log_flip = zero_diagonal(latents["flip"].log(), fill=-math.inf)
        rate = latents["rate"].logit()
        return label_flip_log_posterior(
            self.log_probs, self.labels, rate, log_flip, None, **known
        ).exp()

    def sharpened(self, latents: Mapping[str, Tensor]) -> "Evidence":
        r"""Return the evidence :math:`p^a / \sum p^a` with the largest log marginal, a in (1/3, 3).

        Each probability p is raised to the power a, and the powers are divided by their sum. The
        mean of several predictors is too uncertain. Without correction, part of the flips would be
        explained by this uncertainty.

        Args:
            latents: Contamination rates and rows of the flip matrix T, by site name. They are
                fixed.

        Source: Ranjan & Gneiting (2010) show that pooled predictions need recalibration. Guo et al.
        (2017) recalibrate with one exponent.
        """
        from scipy.optimize import minimize_scalar

        def loss(log_a: float) -> float:
            marginals = self._power(math.exp(log_a)).log_marginals(latents)
            return -float((marginals * self.weights).sum() / self.weights.sum())

        bound = math.log(3)
        best = minimize_scalar(loss, bounds=(-bound, bound), options={"xatol": 0.01})
        return self._power(math.exp(best.x))

    def _power(self, a: float) -> "Evidence":
        """Return the evidence with probabilities p^a / sum p^a."""
        return replace(self, log_probs=(a * self.log_probs).log_softmax(-1))

    def updated_transition(
        self,
        prior: FlipPrior,
        latents: Mapping[str, Tensor],
        *,
        class_prior: float | None = None,
    ) -> Transition:
        """Return rates and T after a hundred iterations of EM.

        EM does not continue to the mode. If predictions cannot separate flips from rows that are
        hard to predict, EM is slow and the mode is far from the start. A start that was counted on
        certain rows is then as good as the mode.

        Args:
            prior: Prior on contamination rates and on flips.
            latents: Contamination rates and rows of the flip matrix T to start from, by site name.
            class_prior: Pseudo-count of each class, as in `estimate_transition`; None for no prior.
        """
        return self._estimate(
            prior, start=self._counts(latents), class_prior=class_prior, iterations=_ITERATIONS
        )

    def calibrated(
        self,
        prior: FlipPrior,
        latents: Mapping[str, Tensor],
        *,
        class_prior: float | None = None,
    ) -> tuple["Evidence", Transition]:
        r"""Return the evidence :math:`p^a / \sum p^a`, rates and T, all fitted to the labels.

        Each probability p is raised to the power a, and the powers are divided by their sum.
        Networks that have learned from few rows are less certain than their accuracy justifies.
        Without correction, part of the flips would be explained by this uncertainty. The exponent a
        is the one at which the labels are most probable.

        Args:
            prior: Prior on contamination rates and on flips.
            latents: Contamination rates and rows of the flip matrix T to start from, by site name.
            class_prior: Pseudo-count of each class, as in `estimate_transition`; None for no prior.

        Returns:
            The evidence, and the estimate of rates and T.
        """
        candidates = []
        for a in EXPONENTS:
            powered = self._power(a)
            transition = powered.updated_transition(prior, latents, class_prior=class_prior)
            evidence = powered.shifted(transition, class_prior)
            log_marginals = evidence.log_marginals(evidence.latents(transition))
            candidates.append((float(log_marginals @ self.weights), evidence, transition))
        _, evidence, transition = max(candidates, key=lambda candidate: candidate[0])
        return evidence, transition

    def shifted(self, transition: Transition, class_prior: float | None) -> "Evidence":
        """Return the evidence with the class frequencies of an estimate.

        Args:
            transition: Estimate from this evidence.
            class_prior: Pseudo-count of each class with which the transition was estimated. If it
                is None, the evidence does not change.
        """
        if class_prior is None:
            return self
        log_probs = transition.shifted(self.log_probs)
        return replace(self, log_probs=log_probs, class_prior=float(class_prior))

    def rate_spread(self, prior: FlipPrior, latents: Mapping[str, Tensor]) -> Float[Tensor, " k"]:
        """Return the marginal posterior standard deviation of the logit of each rate, (K,).

        Args:
            prior: Prior on contamination rates and on flips.
            latents: Contamination rates and rows of the flip matrix T at or near their mode, by
                site name.
        """
        mode = self._estimate(prior, start=self._counts(latents), iterations=1)
        intervals = transition_intervals(
            self._log_f(),
            self.labels,
            mode,
            prior=prior,
            weights=self.weights,
            true_labels=self.true_labels,
            probability=_ONE_SIGMA,
        )
        return (intervals.rate_high.logit() - intervals.rate_low.logit()) / 2

    def _estimate(self, prior: FlipPrior, **options: Any) -> Transition:
        """Call `estimate_transition` with this evidence and further options."""
        return estimate_transition(
            self._log_f(),
            self.labels,
            prior=prior,
            weights=self.weights,
            true_labels=self.true_labels,
            **options,
        )

    def _counts(self, latents: Mapping[str, Tensor]) -> Float[Tensor, "k k"]:
        """Return expected counts by true and by observed label under the predictions and M."""
        matrix = transition_matrix(latents["rate"], zero_diagonal(latents["flip"]))
        return (self.log_probs.exp().T @ self.weights)[:, None] * matrix

    def _log_f(self) -> Float[Tensor, "n k"]:
        """Return normalised log probabilities, without labels that are known to be wrong."""
        return without_wrong_labels(self.log_probs, self.labels, self.verified)
