"""Evidence on rates and flips: predictions for labels by networks that did not see them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.optimize import minimize_scalar
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
from nbam_pyro.training.rows import Rows
from nbam_pyro.verified import Verified

# A central interval of a Normal with this probability is two standard deviations wide.
_ONE_SIGMA = 0.6827
_ITERATIONS = 100
# Exponents that are tried for predictions of unknown sharpness.
_EXPONENTS = (0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 3.0, 4.0)


@dataclass(frozen=True)
class Evidence:
    """Log probabilities of classes beside observed labels, one row per label.

    Attributes:
        log_probs: normalised log probabilities, (N, K): of the observed label after a plain
            warm-up, of the true label after a joint fit.
        labels: observed labels, (N,).
        weights: how many times each counts, (N,).
        verified: What is verified of them.
        class_prior: pseudo-count of each class by which they were `shifted`; None where they are
            as networks predicted them.
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
        """Log probabilities for rows of data, or some; labels of several elements become rows."""
        some = np.arange(len(rows)) if index is None else index
        y, verified = rows.y[some], rows.verified
        each = rows.weights[some].reshape(-1, *[1] * (y.ndim - 1)).expand(y.shape)
        return cls(
            log_probs.flatten(end_dim=-2),
            y.flatten(),
            each.flatten(),
            verified[some].flatten(),
        )

    @property
    def true_labels(self) -> Int[Tensor, " n"] | None:
        """Verified true labels, -1 where unknown; None for none."""
        return self.verified.label(self.labels) if len(self.verified) else None

    @property
    def entropy(self) -> Float[Tensor, " n"]:
        """Entropy of the probabilities of each row, in nats."""
        return torch.special.entr(self.log_probs.exp()).sum(-1)

    @property
    def occupied_entropy(self) -> float:
        """Entropy of the mean of the probabilities: how evenly classes are occupied, in nats.

        Less the mean of `entropy`, it is the information that x has about the class.
        """
        mean = self.weights @ self.log_probs.exp() / self.weights.sum()
        return float(torch.special.entr(mean).sum())

    def log_marginals(
        self, latents: Mapping[str, Tensor], deviation: Tensor | None = None
    ) -> Float[Tensor, " n"]:
        """log p(y | x) of every row, and of what is verified of it.

        Args:
            latents: rates and rows of T by site name.
            deviation: g(x), (N,); None for none.
        """
        known = self.verified.codes
        log_flip = zero_diagonal(latents["flip"].log(), fill=-math.inf)
        rate = latents["rate"].logit()
        return log_marginal(
            *label_flip_log_joint(self.log_probs, self.labels, rate, log_flip, deviation, **known)
        )

    def latents(self, transition: Transition) -> dict[str, Tensor]:
        """Rates and rows of T by site name of `LabelFlip`, in the precision of the evidence."""
        flips = off_diagonal(transition.flip)
        return {"rate": transition.rate.to(self.log_probs), "flip": flips.to(self.log_probs)}

    def posterior(self, latents: Mapping[str, Tensor]) -> Float[Tensor, "n k"]:
        """p(true label | x, y) of every row, given what is verified of it.

        Args:
            latents: rates and rows of T by site name.
        """
        known = self.verified.codes
        log_flip = zero_diagonal(latents["flip"].log(), fill=-math.inf)
        rate = latents["rate"].logit()
        return label_flip_log_posterior(
            self.log_probs, self.labels, rate, log_flip, None, **known
        ).exp()

    def sharpened(self, latents: Mapping[str, Tensor]) -> "Evidence":
        r"""The evidence :math:`p^a / \sum p^a` with the largest log marginal, a in (1/3, 3).

        A pool of several predictors is less sure than it has reason to be, and what it is unsure of
        is taken from the flips.

        Args:
            latents: rates and rows of T by site name, held fixed.

        Source: pools need recalibration, Ranjan & Gneiting (2010); by one exponent, Guo et al.
        (2017).
        """

        def loss(log_a: float) -> float:
            marginals = self._power(math.exp(log_a)).log_marginals(latents)
            return -float((marginals * self.weights).sum() / self.weights.sum())

        bound = math.log(3)
        best = minimize_scalar(loss, bounds=(-bound, bound), options={"xatol": 0.01})
        return self._power(math.exp(best.x))

    def _power(self, a: float) -> "Evidence":
        return replace(self, log_probs=(a * self.log_probs).log_softmax(-1))

    def transition(
        self, prior: FlipPrior, *, sharpness: float = 1.0, start: Tensor | None = None
    ) -> Transition:
        """The mode of rates and T, for log probabilities of the true label.

        Args:
            prior: of rates and flips.
            sharpness: exponent a of p^a / sum p^a, 1 for the probabilities as they are.
            start: counts to start from, as of `estimate_transition`.
        """
        return self._estimate(prior, sharpness=sharpness, start=start)

    def moved(
        self,
        prior: FlipPrior,
        latents: Mapping[str, Tensor],
        *,
        class_prior: float | None = None,
    ) -> Transition:
        """Rates and T after a hundred iterations of EM from those given.

        Not all the way to the mode: where predictions hardly tell a flip from a hard row, it is
        far off and no better than a start that was counted on certain rows, and EM is slow.

        Args:
            prior: of rates and flips.
            latents: rates and rows of T by site name.
            class_prior: pseudo-count of each class, as of `estimate_transition`.
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
        r"""The evidence :math:`p^a / \sum p^a` with rates and T, all three fitted to the labels.

        Networks that have learned from few rows are less sure than they are right, and what they
        are unsure of is taken from the flips. The exponent a is the one at which the labels are
        most probable.

        Args:
            prior: of rates and flips.
            latents: rates and rows of T by site name, to start from.
            class_prior: pseudo-count of each class, as of `estimate_transition`.
        """
        tries = []
        for a in _EXPONENTS:
            powered = self._power(a)
            moved = powered.moved(prior, latents, class_prior=class_prior)
            at = powered.shifted(moved, class_prior)
            probable = float(at.log_marginals(at.latents(moved)) @ self.weights)
            tries.append((probable, at, moved))
        _, evidence, transition = max(tries, key=lambda one: one[0])
        return evidence, transition

    def shifted(self, transition: Transition, class_prior: float | None) -> "Evidence":
        """The same evidence at the class frequencies of an estimate, and what they rest on.

        Args:
            transition: of this evidence.
            class_prior: that it was estimated with; None for none, and nothing changes.
        """
        if class_prior is None:
            return self
        log_probs = transition.shifted(self.log_probs)
        return replace(self, log_probs=log_probs, class_prior=float(class_prior))

    def rate_spread(self, prior: FlipPrior, latents: Mapping[str, Tensor]) -> Float[Tensor, " k"]:
        """Posterior standard deviation of the logit of each rate, all else integrated out, (K,).

        Args:
            prior: of rates and flips.
            latents: rates and rows of T, at or near their mode.
        """
        near = self._estimate(prior, start=self._counts(latents), iterations=1)
        intervals = transition_intervals(
            self._log_f(1.0),
            self.labels,
            near,
            prior=prior,
            weights=self.weights,
            true_labels=self.true_labels,
            probability=_ONE_SIGMA,
        )
        return (intervals.rate_high.logit() - intervals.rate_low.logit()) / 2

    def _estimate(self, prior: FlipPrior, *, sharpness: float = 1.0, **options: Any) -> Transition:
        return estimate_transition(
            self._log_f(sharpness),
            self.labels,
            prior=prior,
            weights=self.weights,
            true_labels=self.true_labels,
            **options,
        )

    def _counts(self, latents: Mapping[str, Tensor]) -> Float[Tensor, "k k"]:
        """Expected counts by true and observed label if predictions and rates were right."""
        matrix = transition_matrix(latents["rate"], zero_diagonal(latents["flip"]))
        return (self.log_probs.exp().T @ self.weights)[:, None] * matrix

    def _log_f(self, sharpness: float) -> Float[Tensor, "n k"]:
        log_f = self.log_probs
        if len(self.verified):  # a label that is known to be wrong is not the true one
            wrong = self.verified.switch(self.labels) == 1
            log_f = log_f.clone()
            log_f[wrong, self.labels[wrong]] = -torch.inf
        return (sharpness * log_f).log_softmax(-1)
