"""Majority votes and the algorithm of Dawid and Skene (1979), as baselines."""

import numpy as np

from nbam_pyro.outputs.annotations.triples import Triples

__all__ = ["dawid_skene", "majority"]

_ITERATIONS, _SMOOTHING = 100, 0.01


def majority(data: Triples) -> np.ndarray:
    """Return the shares of the votes of each item, (N, K).

    Args:
        data: Annotations.
    """
    votes = data.votes + 1e-12
    return votes / votes.sum(-1, keepdims=True)


def dawid_skene(data: Triples) -> np.ndarray:
    """Return the probabilities of true labels by expectation and maximisation, (N, K).

    Each count of a confusion matrix is increased by 0.01. The first step takes majority votes.

    Args:
        data: Annotations.
    """
    q = majority(data)
    for _ in range(_ITERATIONS):
        confusion = data.expected_counts(q) + _SMOOTHING
        confusion /= confusion.sum(-1, keepdims=True)
        log_p = data.evidence(np.log(confusion)) + np.log(q.mean(0) + 1e-12)
        q = np.exp(log_p - log_p.max(-1, keepdims=True))
        q /= q.sum(-1, keepdims=True)
    return q
