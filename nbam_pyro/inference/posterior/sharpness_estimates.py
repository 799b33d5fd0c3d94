"""Rates and flips at several sharpnesses of a network, and the clean error of each."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from nbam_pyro.inference.steps.evidence import Evidence
from nbam_pyro.models.priors.pseudo_counts import FlipPrior
from nbam_pyro.outputs.sharpness_seen import sharpened
from nbam_pyro.outputs.transition import Transition

MOST = 20_000
"""Rates and flips at other sharpnesses are estimated from at most this number of rows."""

__all__ = ["MOST", "clean_error_of", "estimates_at", "evidence_at", "some_rows", "usual_at"]


def some_rows(evidence: Evidence) -> Evidence:
    """Return the verified rows, and some random rows that have a weight.

    Args:
        evidence: Out-of-fold predictions of the true label, and observed labels.
    """
    index = (evidence.weights > 0).nonzero()[:, 0]
    if len(index) > MOST:
        generator = torch.Generator().manual_seed(0)
        index = index[torch.randperm(len(index), generator=generator)[:MOST]]
    if len(evidence.verified):
        index = torch.cat([index, evidence.verified.known.nonzero()[:, 0]]).unique()
    return evidence[index]


def usual_at(
    evidence: Evidence,
    prior: FlipPrior,
    latents: Mapping[str, Tensor],
    mean: Float[Tensor, " k"],
) -> Transition:
    """Return rates and flips at sharpness 1.

    Args:
        evidence: Out-of-fold predictions of the true label, and observed labels.
        prior: Prior on rates and flips.
        latents: Rates and rows of T to start from, by site name.
        mean: Mean predictions over all rows, (K,).
    """
    return evidence_at(evidence, 1.0, mean).updated_transition(prior, latents)


def estimates_at(
    values: np.ndarray,
    evidence: Evidence,
    prior: FlipPrior,
    usual: Transition,
    mean: Float[Tensor, " k"],
) -> list[Transition]:
    """Return rates and flips at several sharpnesses, each started from a neighbour.

    Args:
        values: Values of the sharpness, in increasing order.
        evidence: Out-of-fold predictions of the true label, and observed labels.
        prior: Prior on rates and flips.
        usual: Rates and flips at sharpness 1.
        mean: Mean predictions over all rows, (K,).
    """
    middle = int(np.searchsorted(values, 1.0))
    found: dict[int, Transition] = {}
    for indices in (range(middle, len(values)), range(middle - 1, -1, -1)):
        last = usual
        for i in indices:
            powered = evidence_at(evidence, float(values[i]), mean)
            last = powered.updated_transition(prior, powered.latents(last))
            found[i] = last
    return [found[i] for i in range(len(values))]


def evidence_at(evidence: Evidence, sharpness: float, mean: Float[Tensor, " k"]) -> Evidence:
    """Return the evidence at another sharpness."""
    return replace(evidence, log_probs=sharpened(evidence.log_probs, sharpness, mean))


def clean_error_of(evidence: Evidence, transition: Transition) -> float:
    """Return which part of the disagreement with labels is the network's own error.

    It is the mean probability that the label is right, over the rows whose label is not the most
    probable class. It is 1 if there is no such row.

    Args:
        evidence: Predictions out of fold at the sharpness of the estimate, and observed labels.
        transition: Estimate of rates and flips.
    """
    weights = torch.where(evidence.disagrees, evidence.weights, 0.0).double()
    if not weights.sum() > 0:
        return 1.0
    posterior = evidence.posterior(evidence.latents(transition))
    right = posterior.gather(1, evidence.labels[:, None])[:, 0].double()
    return float(weights @ right / weights.sum())
