"""Estimates of rates and flips from different starts, and the comparison of two of them."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from nbam_pyro.inference.steps.evidence import Evidence
from nbam_pyro.inference.steps.starts import Start
from nbam_pyro.inference.variational.guides import Draw
from nbam_pyro.outputs.gains import gain_over_frequencies, mean_in_standard_errors
from nbam_pyro.outputs.transition import Transition


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
        k = evidence.log_probs.shape[1]
        return gain_over_frequencies(self.log_marginals(), evidence.labels, evidence.weights, k)

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
