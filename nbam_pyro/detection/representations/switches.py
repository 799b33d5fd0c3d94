"""Densities in a representation whose training rows contain anomalies."""

from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from nbam_pyro.detection.assignments import Assignment, Blind
from nbam_pyro.detection.representations.gaussians import ClassGaussians
from nbam_pyro.detection.representations.latent_classes import parts
from nbam_pyro.errors import DataError, StoryError
from nbam_pyro.outputs.switch_codes import UNKNOWN

__all__ = ["Assigned", "assigned"]

_START = 0.1
_ROUNDS = 100
# Rounds end when the rate and all weights change by less than this.
_STILL = 1e-4


class Assigned(NamedTuple):
    """Densities of a representation, with the weights and the rate that belong to them.

    Attributes:
        gaussians: Densities of normal rows and of anomalies.
        clean: Weight of each row among the normal rows, (N,), such as 1 - r for `Exact`.
        rate: Share of anomalies, learned or given.
    """

    gaussians: ClassGaussians
    clean: np.ndarray
    rate: float


def assigned(
    r: np.ndarray,
    probabilities: np.ndarray,
    weights: np.ndarray,
    *,
    assignment: Assignment,
    contamination: float | Literal["auto"],
    verified: Tensor,
) -> Assigned:
    """Return densities of rows of which some are anomalies.

    Moments of the classes and weights of the rows are computed in turn, until they do not change.
    With `Exact` this is the EM algorithm. The weight of a row in the moments is its nuisance weight
    times the weight of its clean energy, 1 - r with the responsibility r.

    Args:
        r: Rows of the representation, (N, D).
        probabilities: Probability of each class, (N, K).
        weights: Nuisance weights of the rows, (N,).
        assignment: Rule that fills in the switches.
        contamination: Share of anomalies, or "auto" to learn it with `Exact`.
        verified: Integer codes of verified rows, (N,).

    Raises:
        StoryError: The assignment cannot learn the share of anomalies.
        DataError: All rows of a class are anomalies.
    """
    blind = isinstance(assignment, Blind)
    learned = contamination == "auto"
    if learned and not assignment.normalised_only and not blind:
        raise StoryError(
            f"{type(assignment).__name__} only ranks rows and cannot learn how many are anomalies. "
            "Give contamination, or use Exact."
        )
    rate = _START if learned else float(contamination)
    free = (verified == UNKNOWN).numpy()
    clean = (verified != 1).numpy().astype(float)
    gaussians = _moments(r, probabilities, weights, clean)
    for _ in range(0 if blind else _ROUNDS):
        logit = torch.tensor(rate, dtype=torch.float64).logit()
        found = assignment(logit, gaussians.energies(r), verified)
        before = clean, rate
        clean = found.clean.numpy()
        if learned and free.any():
            rate = float(found.anomalous.numpy()[free].mean())
        gaussians = _moments(r, probabilities, weights, clean)
        if max(np.abs(clean - before[0]).max(), abs(rate - before[1])) < _STILL:
            break
    return Assigned(gaussians, clean, 0.0 if blind and learned else rate)


def _moments(
    r: np.ndarray, probabilities: np.ndarray, weights: np.ndarray, clean: np.ndarray
) -> ClassGaussians:
    empty = np.flatnonzero((weights * clean) @ probabilities < 1)
    if len(empty):
        raise DataError(
            f"Nearly all rows of class number {empty[0]} count as anomalies, or as rows of other "
            "classes. Verify some of them as normal, give a smaller contamination, or leave the "
            "class out."
        )
    rows, k = parts(probabilities)
    total = weights[rows] * probabilities[rows, k]
    return ClassGaussians.of(r[rows], k, total * clean[rows], total=total)
