"""Where rates and flips of a latent true label start: labels counted on its most certain rows."""

import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from nbam_pyro.inference.steps.evidence import Evidence
from nbam_pyro.outputs.anchors import anchor_counts, how_many

# k-means looks at no more rows than these.
_ROWS = 20_000
# Singular values of the centres, relative to the largest, that count as none.
_COINCIDE = 0.01
# A verified row of a class in a cluster is worth so many nats for giving the cluster its name.
_VOTE = 2.0


class Start(ABC):
    """A way to count the labels of rows whose true label is nearly certain."""

    @abstractmethod
    def counts(self, evidence: Evidence, *, seed: int) -> Tensor:
        """Counts by supposed true and by observed label, (K, K).

        Args:
            evidence: probabilities of the observed label, out of fold.
            seed: of everything random.
        """


@dataclass(frozen=True, kw_only=True)
class Anchors(Start):
    """The rows most confidently predicted to be observed as c are supposed to be of class c.

    Right where more than half of the labels of each class are right. Verified rows are counted as
    what they are, and say where two classes have exchanged names.

    Args:
        confident: share of the rows predicted to be of a class that serve as its anchors; of few
            rows more (`anchor_counts`).
        at_least: so many rows of each class.

    Source: Liu & Tao (2016), Patrini et al. (2017); counted here, not averaged: `anchor_counts`.
    """

    confident: float = 0.2
    at_least: int = 70

    def counts(self, evidence: Evidence, *, seed: int) -> Tensor:
        return anchor_counts(
            evidence.log_probs,
            evidence.labels,
            confident=self.confident,
            at_least=self.at_least,
            weights=evidence.weights,
            verified=evidence.verified,
        )


@dataclass(frozen=True, kw_only=True)
class Vertices(Start):
    r"""Clusters of predictions are supposed to be classes, whatever they are called.

    Predictions of the *observed* label lie near :math:`\sum_c f_c M_c`, hence near the vertex M_c
    where the true label is nearly certain. Where most labels of class c are d, the rows most
    confidently observed as d are of class c, and `Anchors` fails. k-means finds K vertices; the
    labels of the rows nearest to each are counted; and the vertices are named so that the product
    of the shares of right labels, :math:`\prod_c M_{cc}`, is largest, or as verified rows say.

    Args:
        restarts: random starts of k-means; 0 for one start from the rows predicted to be of each
            class, which keeps the two classes of a mutual pair apart more often.
        confident: share of the rows of a cluster whose labels count; of few rows more
            (`anchor_counts`).
        at_least: so many rows of each cluster.

    Source: the rows of M are vertices of the simplex of predictions (Patrini et al. 2017, theorem
    3).
    """

    restarts: int = 0
    confident: float = 0.2
    at_least: int = 70

    def counts(self, evidence: Evidence, *, seed: int) -> Tensor:
        probs = evidence.log_probs.exp().numpy()
        classes = probs.shape[1]
        if len(probs) < classes:
            return Anchors().counts(evidence, seed=seed)
        cluster, purity = self._clusters(probs, seed)
        rows = []
        for k in range(classes):
            members = np.flatnonzero(cluster == k)
            purest = members[(-purity[members, k]).argsort()]
            core = purest[: max(5, how_many(len(members), self.confident, self.at_least))]
            labels, weights = evidence.labels[core], evidence.weights[core]
            rows.append(torch.bincount(labels, weights, minlength=classes))
        counts = torch.stack(rows).to(evidence.log_probs)
        return _named(counts, _votes(evidence, cluster))

    def _clusters(self, probs: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """The cluster of every row, (N,), and its weights of all centres, (N, K)."""
        classes = probs.shape[1]
        if self.restarts:
            means = KMeans(classes, n_init=self.restarts, random_state=seed)
        else:
            means = KMeans(classes, init=_centres(probs), n_init=1, random_state=seed)
        some = np.random.default_rng(seed).permutation(len(probs))[:_ROWS]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different rows than classes
            means.fit(probs[some])
        # The cut-off keeps centres that nearly coincide from large weights of either sign.
        weights = np.linalg.lstsq(means.cluster_centers_.T, probs.T, rcond=_COINCIDE)[0].T
        return means.predict(probs), weights


def _centres(probs: np.ndarray) -> np.ndarray:
    """Mean prediction of the rows predicted to be of each class, or its most confident row."""
    predicted = probs.argmax(1)
    return np.stack(
        [
            probs[predicted == c].mean(0) if (predicted == c).any() else probs[probs[:, c].argmax()]
            for c in range(probs.shape[1])
        ]
    )


def _votes(evidence: Evidence, cluster: np.ndarray) -> Tensor:
    """Verified rows by cluster and true label, (K, K)."""
    k = evidence.log_probs.shape[1]
    true = evidence.true_labels
    if true is None:
        return torch.zeros(k, k)
    known = true >= 0
    pairs = torch.as_tensor(cluster)[known].long() * k + true[known]
    return torch.bincount(pairs, minlength=k * k).view(k, k)


def _named(counts: Tensor, votes: Tensor) -> Tensor:
    """Counts with the clusters in the order of the classes that they are supposed to be."""
    share = counts / counts.sum(1, keepdim=True).clamp_min(1)
    score = share.clamp_min(1e-3).log() + _VOTE * votes
    cluster, name = linear_sum_assignment(-score.numpy())
    named = torch.empty_like(counts)
    named[name] = counts[cluster]
    return named
