r"""Estimates of true labels and confusion matrices by expectation and maximisation."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import log_softmax, softmax

from nbam_pyro.outputs.annotations.shared import SharedConfusion
from nbam_pyro.outputs.annotations.triples import Triples

__all__ = ["Estimate", "Predictor", "estimate"]

_ITERATIONS, _CLOSE = 300, 1e-4
# Powers to which predicted probabilities may be raised; 0 ignores the classifier.
_POWERS = np.linspace(0.0, 2.0, 21)


@dataclass(frozen=True, eq=False, kw_only=True)
class Predictor:
    """Predictor f of the true label before its annotations: class frequencies, or a classifier.

    Attributes:
        log_p: Log probabilities of a classifier, (N, K); None without a classifier.
        true_label: Verified true labels, -1 where unknown, (N,).
        annotated: Whether an item has annotations, (N,).
    """

    log_p: Float[np.ndarray, "n k"] | None
    true_label: Int[np.ndarray, " n"]
    annotated: Bool[np.ndarray, " n"]

    def log_f(
        self, q: Float[np.ndarray, "n k"], rng: np.random.Generator | None = None
    ) -> Float[np.ndarray, "n k"]:
        """Return log f given probabilities of the true labels, (N, K).

        Class frequencies have a uniform prior. The power of a classifier's probabilities, which
        corrects too certain classifiers, has a uniform prior on a grid. Items without annotations
        and without a verified label say nothing about it: their probabilities only repeat f.

        Args:
            q: Probabilities of true labels, (N, K), each a 0 or 1 for draws.
            rng: Random generator to draw unknown numbers; None for their most probable values.
        """
        if self.log_p is None:
            counts = q.sum(0) + 1
            share = counts / counts.sum() if rng is None else rng.dirichlet(counts)
            return np.broadcast_to(np.log(np.maximum(share, 1e-300)), q.shape)
        known = self.annotated | (self.true_label >= 0)
        fits = [(q[known] * log_softmax(a * self.log_p[known], -1)).sum() for a in _POWERS]
        chosen = int(np.argmax(fits)) if rng is None else rng.choice(len(fits), p=softmax(fits))
        return log_softmax(_POWERS[chosen] * self.log_p, -1)

    def posterior(self, log_joint: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n k"]:
        """Return probabilities of true labels, with 0 and 1 for verified items, (N, K).

        Args:
            log_joint: Log joint of true label and annotations, (N, K).
        """
        q = softmax(log_joint, -1)
        known = self.true_label >= 0
        q[known] = np.eye(q.shape[1])[self.true_label[known]]
        return q


@dataclass(frozen=True, eq=False, kw_only=True)
class Estimate:
    """Estimated true labels and confusion matrices.

    Attributes:
        posterior: Probabilities of the true label of each item, (N, K).
        confusion: Mean confusion matrix of each annotator, (J, K, K).
        shared: What annotators have in common.
        predictor: Predictor of the true label.
    """

    posterior: Float[np.ndarray, "n k"]
    confusion: Float[np.ndarray, "j k k"]
    shared: SharedConfusion
    predictor: Predictor

    def log_joint(self, data: Triples) -> Float[np.ndarray, "n k"]:
        """Return the log joint of true labels and annotations, without verified labels, (N, K).

        Args:
            data: Annotations.
        """
        return self.predictor.log_f(self.posterior) + data.evidence(np.log(self.confusion))


def estimate(data: Triples, predictor: Predictor) -> Estimate:
    """Estimate true labels and confusion matrices, from majority votes on.

    Each iteration computes the probabilities of true labels given mean confusion matrices, and the
    matrices, their shared mean, its concentration and the predictor given these probabilities.

    Args:
        data: Annotations.
        predictor: Predictor of the true label.
    """
    q = predictor.posterior(np.log(data.votes + 1e-9))
    shared = SharedConfusion.before(classes=data.classes, annotators=data.annotators)
    for iteration in range(_ITERATIONS):
        counts = data.expected_counts(q)
        if iteration:
            shared = shared.updated(counts)
        confusion = counts + shared.counts
        confusion /= confusion.sum(-1, keepdims=True)
        log_joint = predictor.log_f(q) + data.evidence(np.log(confusion))
        before, q = q, predictor.posterior(log_joint)
        if np.abs(q - before).max() < _CLOSE:
            break
    return Estimate(posterior=q, confusion=confusion, shared=shared, predictor=predictor)
