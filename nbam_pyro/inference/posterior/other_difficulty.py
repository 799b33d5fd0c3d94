"""The share of wrong labels if they depend on difficulty, or if they do not."""

import numpy as np

from nbam_pyro.inference.posterior.difficulty import (
    DIFFICULTY,
    MANY_CLASSES,
    estimate_at_difficulty,
)
from nbam_pyro.inference.posterior.network_readings import NetworkReadings
from nbam_pyro.inference.posterior.sharpness_estimates import evidence_at, some_rows
from nbam_pyro.inference.steps.evidence import Evidence
from nbam_pyro.models.priors.pseudo_counts import FlipPrior

__all__ = ["other_share"]

# Rows x classes from which the share at the other difficulty is estimated.
_ENTRIES = 200_000
# Verified rows have decided if the other difficulty has at most this probability.
_OPEN = 0.05


def other_share(
    readings: NetworkReadings, evidence: Evidence, prior: FlipPrior | None
) -> float | None:
    """Return the factor by which the share of wrong labels changes with the other difficulty.

    If the readings assume that labels are wrong more often where the network hesitates, the other
    difficulty is 0. Otherwise it is 1. If verified rows leave several difficulties open, the more
    probable one is compared with the other. The result is None if verified rows have decided, or if
    there are so many classes that it takes too long.

    Args:
        readings: Explanations of the labels.
        evidence: Out-of-fold predictions of the true label, and observed labels.
        prior: Prior on rates and flips; None for the default.
    """
    trust = readings.trust
    hesitant = trust.hesitant
    decided = len(set(trust.difficulty)) > 1 and not _OPEN < hesitant < 1 - _OPEN
    slow = len(trust.mean) > MANY_CLASSES and not hesitant
    if decided or slow or not trust.weight.sum() > 0:
        return None
    order = trust.weight.cumsum()
    middle = int(np.searchsorted(order, order[-1] / 2))
    some, start = some_rows(evidence), readings.transitions[middle]
    every = max(1, len(some.labels) * len(trust.mean) // _ENTRIES)
    few = evidence_at(some[::every], float(trust.sharpness[middle]), trust.mean)
    high = float(trust.difficulty.max()) or DIFFICULTY
    shares = [
        estimate_at_difficulty(few, prior or FlipPrior(), start, d).share for d in (0.0, high)
    ]
    if hesitant > 0.5:
        shares.reverse()
    return shares[1] / shares[0]
