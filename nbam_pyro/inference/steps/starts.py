"""Starts of rates and flips: counts of the labels of rows whose true label is nearly certain."""

import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nbam_pyro.inference.steps.evidence import Evidence
from nbam_pyro.outputs.anchors import anchor_counts, how_many

# k-means is fitted to at most this many rows.
_ROWS = 20_000
# Singular values of the matrix of centres below this share of the largest one count as 0.
_SMALLEST_SINGULAR = 0.01
# Gain, in nats, for each verified row whose true class is the class that its cluster gets.
_VERIFIED_GAIN = 2.0


class Start(ABC):
    """Base class of methods that count the labels of rows whose true label is nearly certain.

    `CrossFit` turns the counts into the starting values of rates and T.
    """

    @abstractmethod
    def counts(self, evidence: Evidence, *, seed: int) -> Tensor:
        """Return counts by assumed true label and by observed label, (K, K).

        Args:
            evidence: Probabilities of the observed label, predicted out of fold.
            seed: Seed for all random choices.
        """


@dataclass(frozen=True, kw_only=True)
class Anchors(Start):
    """Start from anchors: rows whose observed label is predicted with most confidence.

    The rows with the most confident prediction of label c are assumed to belong to class c (its
    anchors). The assumption is correct if more than half of the labels of each class are correct.
    Verified rows are counted with their true class. They show if the names of two classes are
    exchanged.

    Args:
        confident: Share of the rows with predicted class c that are anchors of c. The share is
            larger if there are few such rows (see `anchor_counts`).
        at_least: Smallest number of anchors of each class, if there are enough rows.

    Source: Liu & Tao (2016), Patrini et al. (2017). They average predictions; here labels are
    counted (see `anchor_counts`).
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
    r"""Start from clusters of predictions, one cluster for each class.

    Predictions of the *observed* label lie near :math:`\sum_c f_c M_c`, where f_c is the
    probability of the true class c and M_c is row c of the transition matrix M = p(observed |
    true). They lie near the vertex M_c if the true label is nearly certain to be c. If most labels
    of class c are d, the rows with the most confident prediction of d belong to class c, and
    `Anchors` is wrong. `Vertices` works in this case too:

    1. k-means finds K clusters of predictions.
    2. The labels of the rows nearest to each vertex are counted.
    3. The clusters get the classes for which the product of the shares of correct labels,
       :math:`\prod_c M_{cc}`, is largest. A cluster with verified rows of a class is more likely to
       get that class.

    Args:
        restarts: Number of random starts of k-means. With 0, k-means starts once, from the mean
            prediction of the rows of each predicted class. This start separates the two classes of
            a mutual pair (two classes that are mistaken for each other) more often.
        confident: Share of the rows of a cluster whose labels are counted. The share is larger if
            there are few rows (see `anchor_counts`).
        at_least: Smallest number of rows of each cluster whose labels are counted, if there are
            enough rows.

    Source: The rows of M are vertices of the simplex of predictions (Patrini et al. 2017, theorem
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
        return _in_class_order(counts, _verified_counts(evidence, cluster))

    def _clusters(self, probs: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the cluster of every row, (N,), and its weights on all centres, (N, K).

        The prediction of a row is approximately the sum of the centres times these weights.
        """
        from sklearn.cluster import KMeans
        from sklearn.exceptions import ConvergenceWarning

        classes = probs.shape[1]
        if self.restarts:
            means = KMeans(classes, n_init=self.restarts, random_state=seed)
        else:
            means = KMeans(classes, init=_centres(probs), n_init=1, random_state=seed)
        subset = np.random.default_rng(seed).permutation(len(probs))[:_ROWS]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct rows than classes
            means.fit(probs[subset])
        # Without a cut-off, centres that nearly coincide would get large weights of both signs.
        weights = np.linalg.lstsq(means.cluster_centers_.T, probs.T, rcond=_SMALLEST_SINGULAR)[0].T
        return means.predict(probs), weights


def _centres(probs: np.ndarray) -> np.ndarray:
    """Return the mean prediction of the rows of each predicted class, (K, K).

    A class that is predicted for no row gets the prediction of its most probable row.
    """
    predicted = probs.argmax(1)
    return np.stack(
        [
            probs[predicted == c].mean(0) if (predicted == c).any() else probs[probs[:, c].argmax()]
            for c in range(probs.shape[1])
        ]
    )


def _verified_counts(evidence: Evidence, cluster: np.ndarray) -> Tensor:
    """Return the numbers of verified rows by cluster and by true label, (K, K)."""
    k = evidence.log_probs.shape[1]
    true = evidence.true_labels
    if true is None:
        return torch.zeros(k, k)
    known = true >= 0
    pairs = torch.as_tensor(cluster)[known].long() * k + true[known]
    return torch.bincount(pairs, minlength=k * k).view(k, k)


def _in_class_order(counts: Tensor, verified: Tensor) -> Tensor:
    """Return the rows of counts in the order of the classes that the clusters are assigned to.

    Args:
        counts: Counts by cluster and by observed label, (K, K).
        verified: Numbers of verified rows by cluster and by true label, (K, K).
    """
    from scipy.optimize import linear_sum_assignment

    share = counts / counts.sum(1, keepdim=True).clamp_min(1)
    score = share.clamp_min(1e-3).log() + _VERIFIED_GAIN * verified
    cluster, label = linear_sum_assignment(-score.numpy())
    ordered = torch.empty_like(counts)
    ordered[label] = counts[cluster]
    return ordered
