"""Estimates of how far a network can be trusted where it contradicts labels (`NetworkTrust`).

The predictions of the true label come from networks that did not see the label of the row. They may
be too certain or too uncertain. Labels cannot distinguish many difficult rows and few wrong labels
from few difficult rows and many wrong labels. So they do not choose the sharpness. Instead, each
sharpness has the weight of the share of wrong labels that it leads to, and "no label
is wrong" has a weight of its own. The prior of the share depends on numbers that can be seen, and
was fitted across data sets (`share_prior`): a cut posterior (Plummer 2015). Verified rows update
it. They also decide whether labels are wrong more often where the network hesitates (`difficulty`).
Sharpnesses are weighed by the shares that they lead to if labels are wrong as often in difficult
rows as in others, since this is how the prior was fitted.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import logsumexp
from torch import Tensor

from nbam_pyro.errors import StoryError
from nbam_pyro.functional import off_diagonal
from nbam_pyro.inference.posterior.difficulty import (
    DIFFICULTY,
    MANY_CLASSES,
    estimate_at_difficulty,
    log_verified,
)
from nbam_pyro.inference.posterior.share_prior import Seen, fitted_for
from nbam_pyro.inference.posterior.sharpness_estimates import (
    clean_error_of,
    estimates_at,
    evidence_at,
    some_rows,
    usual_at,
)
from nbam_pyro.inference.posterior.trust import NetworkTrust
from nbam_pyro.inference.steps.evidence import Evidence
from nbam_pyro.inference.steps.run import Run
from nbam_pyro.inference.variational.guides import guide_median
from nbam_pyro.models.priors.clean_error import CleanError
from nbam_pyro.models.priors.pseudo_counts import FlipPrior
from nbam_pyro.outputs.gains import LEARNED
from nbam_pyro.outputs.sharpness_prior import PLAUSIBLE, WIDE
from nbam_pyro.outputs.transition import Transition

__all__ = ["NetworkReadings", "readings_of"]

# Least prior weight of "no label is wrong" if the network has learned nothing: both explanations
# are then equally good.
_LEAST_RIGHT = 0.5
# Prior probability that labels are wrong more often where the network hesitates. Verified rows
# update it.
_HESITANT = 0.1


@dataclass(frozen=True, kw_only=True)
class NetworkReadings:
    """Explanations of the labels, given the predictions of a network out of fold.

    A deviation g(x) of the rates does not change their weights.

    Attributes:
        trust: The explanations and their weights.
        transitions: Rates and flips of each explanation in which labels are wrong, G of them.
        usual: Estimate at sharpness 1 and difficulty 0.
    """

    trust: NetworkTrust
    transitions: tuple[Transition, ...]
    usual: Transition

    @classmethod
    def of(
        cls,
        evidence: Evidence,
        prior: FlipPrior | None,
        latents: Mapping[str, Tensor],
        *,
        learned: bool,
        plain: Evidence | None = None,
        clean_error: CleanError | None = None,
        difficulty: float | None = None,
    ) -> "NetworkReadings":
        """Estimate rates and flips at every sharpness, and weigh the explanations.

        Args:
            evidence: Out-of-fold predictions of the true label, and observed labels.
            prior: Prior on rates and flips; None for the default.
            latents: Rates and rows of T to start from, by site name.
            learned: Whether the network has learned anything about the labels. If it has not, "no
                label is wrong" has a prior weight of one half or more.
            plain: Out-of-fold predictions of the observed labels; None to use `evidence` in their
                place.
            clean_error: Prior of the part of the disagreement with labels that is the network's own
                error; None for the fitted prior of the share.
            difficulty: Difficulty d, 0 or more; None for 0, unless verified rows show that labels
                are wrong more often where the network hesitates.
        """
        mean = evidence.log_probs.exp().mean(0)
        some, used = some_rows(evidence), prior or FlipPrior()
        usual = usual_at(some, used, latents, mean)
        values = PLAUSIBLE if clean_error is None else WIDE
        estimates = estimates_at(values, some, used, usual, mean)
        if clean_error is None:
            plain = evidence if plain is None else plain
            seen = Seen.of(some, usual, some_rows(plain), prior)
            fitted = fitted_for(len(plain.labels))
            right = fitted.right_weight(seen)
            weights = fitted.weights(seen, np.array([one.share for one in estimates]))
        else:
            powered = [evidence_at(some, float(a), mean) for a in values]
            errors = [clean_error_of(*pair) for pair in zip(powered, estimates, strict=True)]
            right, weights = clean_error.weights(np.array(errors))
        right = right if learned else max(right, _LEAST_RIGHT)
        likely = _difficulties(difficulty, evidence)
        transitions = [
            estimate_at_difficulty(evidence_at(some, float(a), mean), used, one, d) if d else one
            for d in likely
            for a, one in zip(values, estimates, strict=True)
        ]
        explanations = [(float(a), d) for d in likely for a in values]
        each = (1 - right) * np.concatenate([p * weights for p in likely.values()])
        with np.errstate(divide="ignore"):  # The logarithm of 0 is the weight of an impossibility.
            log_weight = np.log(np.r_[right, each])
        if len(evidence.verified):
            known = evidence[evidence.verified.known]
            log_weight += [
                _log_right(known),
                *(
                    log_verified(evidence_at(known, a, mean), one, d)
                    for (a, d), one in zip(explanations, transitions, strict=True)
                ),
            ]
        after = np.exp(log_weight - logsumexp(log_weight))
        rates = torch.stack([one.rate.logit() for one in transitions])
        flips = torch.stack([_log_flips(one) for one in transitions])
        trust = NetworkTrust(
            mean=mean,
            sharpness=np.array([a for a, _ in explanations]),
            difficulty=np.array([d for _, d in explanations]),
            weight=after[1:],
            all_right=float(after[0]),
            rate_shift=rates - usual.rate.logit(),
            flip_shift=(flips - _log_flips(usual)).float(),  # with many classes it is large
        )
        return cls(trust=trust, transitions=tuple(transitions), usual=usual)


def readings_of(run: Run) -> NetworkReadings | None:
    """Return how far the predictions out of fold can be trusted; None without them.

    Args:
        run: State of a fit after its steps.

    Raises:
        StoryError: The story has a difficulty, and there are no predictions out of fold.
    """
    story, evidence = run.story.latent_label, run.cross_fitted
    if story is None:
        return None
    if evidence is None:
        if story.difficulty is not None:
            raise StoryError(
                "difficulty acts on predictions out of fold, which the given steps do not make. "
                "Add a CrossFit step, leave out steps, or leave out difficulty."
            )
        return None
    gain = run.gain  # it scores all rows again
    learned = gain is None or gain >= LEARNED
    latents = guide_median(run.guide_or_new())
    return NetworkReadings.of(
        evidence,
        story.prior,
        latents,
        learned=learned,
        plain=run.plain,
        clean_error=story.clean_error,
        difficulty=story.difficulty,
    )


def _difficulties(given: float | None, evidence: Evidence) -> dict[float, float]:
    """Return the difficulties that are possible before rows are verified, with probabilities."""
    if given is not None:
        return {given: 1.0}
    many = evidence.log_probs.shape[-1] > MANY_CLASSES
    if many or not len(evidence.verified):
        return {0.0: 1.0}
    return {0.0: 1 - _HESITANT, DIFFICULTY: _HESITANT}


def _log_flips(transition: Transition) -> Tensor:
    flips = off_diagonal(transition.flip)
    return flips.clamp_min(torch.finfo(flips.dtype).tiny).log()


def _log_right(known: Evidence) -> float:
    """Return 0 if no verified row contradicts that all labels are right, else minus infinity."""
    wrong = (known.verified.switch(known.labels) == 1).any()
    return -math.inf if wrong else 0.0
