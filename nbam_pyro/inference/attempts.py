"""An attempt at the rates and flips of a latent true label, and how it compares with another."""

import math
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from nbam_pyro import functional as nf
from nbam_pyro.inference.evidence import Evidence
from nbam_pyro.inference.guides import Draw
from nbam_pyro.inference.starts import Start
from nbam_pyro.transition import Transition


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
        like = self.evidence.log_probs
        flips = nf.off_diagonal(self.transition.flip)
        return {"rate": self.transition.rate.to(like), "flip": flips.to(like)}

    def log_marginals(self) -> Float[Tensor, " n"]:
        """log p(y | x) of every row out of fold, and of what is verified of it."""
        evidence, latents = self.evidence, self.latents
        known = {} if evidence.verified is None else vars(evidence.verified)
        log_flip = nf.zero_diagonal(latents["flip"].log(), fill=-math.inf)
        rate = latents["rate"].logit()
        pair = nf.label_flip_log_joint(evidence.log_probs, evidence.labels, rate, log_flip, **known)
        return nf.log_marginal(*pair)

    def gain(self, other: "Attempt") -> float:
        """By how many standard errors its rows are more probable than under another attempt."""
        counted = self.evidence.weights > 0
        gains = (self.log_marginals() - other.log_marginals())[counted]
        error = float(gains.std()) / math.sqrt(len(gains))
        mean = float(gains.mean())
        return mean / error if error > 0 else math.copysign(math.inf, mean) if mean else 0.0
