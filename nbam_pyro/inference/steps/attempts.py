"""Estimates of rates and flips from different starts, and the comparison of two of them."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from nbam_pyro.inference.steps.evidence import Evidence
from nbam_pyro.inference.steps.starts import Start
from nbam_pyro.inference.variational.guides import Draw
from nbam_pyro.outputs.transition import Transition

LEARNED = 3.0
"""Gain over class frequencies, in standard errors, from which a network has learned something.

Two would be too few, because rates and flips are fitted to the same rows.
"""


@dataclass(frozen=True)
class Attempt:
    """Result of a fit from one start.

    Attributes:
        start: Start whose values the fit began with.
        evidence: Log probabilities of the true label, predicted out of fold (by networks that did
            not see the row's label).
        transition: Contamination rates and flips that were estimated from this evidence.
    """

    start: Start
    evidence: Evidence
    transition: Transition

    @property
    def latents(self) -> Draw:
        """Contamination rates and rows of the flip matrix T, by site name of `LabelFlip`."""
        return self.evidence.latents(self.transition)

    def log_marginals(self) -> Float[Tensor, " n"]:
        """Return log p(y | x) of every row out of fold, (N,).

        For a verified row it is the log marginal of y and the verified value.
        """
        return self.evidence.log_marginals(self.latents)

    def gain_over_frequencies(self) -> float:
        """Return how much more probable labels are given x than under class frequencies alone.

        The gain is the mean difference of the log probabilities, in units of its standard error.
        """
        evidence = self.evidence
        counts = torch.bincount(evidence.labels, evidence.weights, evidence.log_probs.shape[1])
        frequency = (counts / counts.sum()).log()[evidence.labels].to(evidence.log_probs)
        gains = (self.log_marginals() - frequency)[evidence.weights > 0]
        return mean_in_standard_errors(gains)

    def gain(self, other: "Attempt", *, information: float = 0.0) -> float:
        """Return how much more probable the labels are than under another attempt.

        The gain is the mean difference of the log marginals, in units of its standard error.

        Args:
            other: Attempt on the same rows.
            information: Factor of the information that x has about the true label. The information
                (in nats) times this factor is added to the log marginal before attempts are
                compared.
        """
        counted = self.evidence.weights > 0
        gains = self.log_marginals() - other.log_marginals()
        gains -= information * (self.evidence.entropy - other.evidence.entropy)
        occupied = self.evidence.occupied_entropy - other.evidence.occupied_entropy
        return mean_in_standard_errors(gains[counted] + information * occupied)


def mean_in_standard_errors(gains: Tensor) -> float:
    """Return the mean of some values in units of its standard error.

    Args:
        gains: Values, (N,).

    Returns:
        The mean divided by its standard error. It is 0 for a single value, and infinite if all
        values are equal and not 0.

    Example:
        >>> round(mean_in_standard_errors(torch.tensor([1.0, 3.0])), 3)
        2.0
    """
    # The standard error of one value is unknown.
    error = float(gains.std()) / math.sqrt(len(gains)) if len(gains) > 1 else math.inf
    mean = float(gains.mean())
    return mean / error if error > 0 else math.copysign(math.inf, mean) if mean else 0.0
