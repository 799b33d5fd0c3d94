"""An attempt at the rates and flips of a latent true label, and how it compares with another."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from nbam_pyro.inference.steps.evidence import Evidence
from nbam_pyro.inference.steps.starts import Start
from nbam_pyro.inference.variational.guides import Draw
from nbam_pyro.outputs.transition import Transition


@dataclass(frozen=True)
class Attempt:
    """What a fit from one start came to.

    Attributes:
        start: where it began.
        evidence: log probabilities of the true label, out of fold.
        transition: rates and flips given them.
    """

    start: Start
    evidence: Evidence
    transition: Transition

    @property
    def latents(self) -> Draw:
        """Rates and rows of T by site name of `LabelFlip`."""
        return self.evidence.latents(self.transition)

    def log_marginals(self) -> Float[Tensor, " n"]:
        """log p(y | x) of every row out of fold, and of what is verified of it."""
        return self.evidence.log_marginals(self.latents)

    def beyond_frequencies(self) -> float:
        """By how many standard errors labels are more probable than by their frequencies alone."""
        evidence = self.evidence
        counts = torch.bincount(evidence.labels, evidence.weights, evidence.log_probs.shape[1])
        frequency = (counts / counts.sum()).log()[evidence.labels].to(evidence.log_probs)
        gains = (self.log_marginals() - frequency)[evidence.weights > 0]
        return mean_in_errors(gains)

    def gain(self, other: "Attempt", *, information: float = 0.0) -> float:
        """By how many standard errors its rows are more probable than under another attempt.

        Args:
            other: attempt at the same rows.
            information: what a nat of the information of x about
                the true label is worth, in nats of the log marginal.
        """
        counted = self.evidence.weights > 0
        gains = self.log_marginals() - other.log_marginals()
        gains -= information * (self.evidence.entropy - other.evidence.entropy)
        occupied = self.evidence.occupied_entropy - other.evidence.occupied_entropy
        return mean_in_errors(gains[counted] + information * occupied)


def mean_in_errors(gains: Tensor) -> float:
    """The mean of some gains in units of its standard error; 0 for one row alone.

    Example:
        >>> round(mean_in_errors(torch.tensor([1.0, 3.0])), 3)
        2.0
    """
    # One row alone says nothing about how far to trust it.
    error = float(gains.std()) / math.sqrt(len(gains)) if len(gains) > 1 else math.inf
    mean = float(gains.mean())
    return mean / error if error > 0 else math.copysign(math.inf, mean) if mean else 0.0
