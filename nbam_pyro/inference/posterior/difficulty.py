r"""Wrong labels that depend on difficulty: they are more frequent where the network hesitates.

If a story has the same rate for all rows of a class, the wrong labels of people are found too
rarely among difficult rows. The difficulty d, 0 or more, changes rates and flips of row i:

.. math::
    P(z_i = 1 \mid c) = \sigma(\mathrm{logit}\,\mathrm{rate}_c + d\,u_i), \qquad
    u_i = \frac{2 f_{i(2)}}{f_{i(1)} + f_{i(2)}}, \\
    P(y_i \mid c, z_i = 1) = (1 - w)\, T_{c y_i} + w \frac{f_{i y_i}}{1 - f_{ic}}, \qquad
    w = \frac{d}{1 + d} .

f(1) and f(2) are the two largest predictions of a row. The hesitation u is 0 where the network is
certain, and 1 where two classes are equally probable. Labels alone do not determine d, because a
network that is less certain explains the same labels: it is given, or verified rows decide.
"""

import math
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from nbam_pyro.functional import (
    label_flip_log_joint,
    label_flip_log_posterior,
    log_marginal,
    off_diagonal,
    zero_diagonal,
)
from nbam_pyro.inference.steps.evidence import Evidence
from nbam_pyro.models.priors.pseudo_counts import FlipPrior
from nbam_pyro.outputs.anchors import anchor_start
from nbam_pyro.outputs.transition import Transition
from nbam_pyro.verified import NOTHING

DIFFICULTY = 1.0
"""Difficulty that is assumed if labels are wrong more often where the network hesitates."""

MANY_CLASSES = 100
"""With more classes, an estimate at another difficulty takes too long to make without being asked.
"""

__all__ = [
    "DIFFICULTY",
    "MANY_CLASSES",
    "estimate_at_difficulty",
    "flips_at",
    "hesitation",
    "log_verified",
    "rate_change",
]

# Newton's steps for the rate of each class, in each iteration of EM.
_NEWTON = 3
_ITERATIONS = 60
# EM ends if no rate changes by more than this.
_TOLERANCE = 1e-4


def hesitation(log_f: Float[Tensor, "n k"]) -> Float[Tensor, " n"]:
    """Return how far each prediction is from certain, (N,): 0 if certain, 1 if two classes tie.

    Args:
        log_f: Log probabilities of the true label, (N, K).

    Example:
        >>> hesitation(torch.tensor([[1.0, 0.0], [0.6, 0.4], [0.5, 0.5]]).log())
        tensor([0.0000, 0.8000, 1.0000])
    """
    first, second = log_f.topk(2, -1).values.exp().unbind(-1)
    return 2 * second / (first + second)


def rate_change(
    log_f: Float[Tensor, "n k"], difficulty: float | Float[Tensor, ""]
) -> Float[Tensor, " n"]:
    """Return what the difficulty adds to the logit of the rate of each row, (N,).

    Args:
        log_f: Log probabilities of the true label, (N, K).
        difficulty: Difficulty d.
    """
    return difficulty * hesitation(log_f)


def flips_at(
    log_f: Float[Tensor, "n k"],
    labels: Tensor,
    log_flip: Float[Tensor, "k k"],
    difficulty: float | Float[Tensor, ""],
) -> Float[Tensor, "n k"]:
    """Return log P(y | c, z=1), the log probability of each observed label if it is wrong, (N, K).

    It is -inf where the true class c is the observed label.

    Args:
        log_f: Log probabilities of the true label, (N, K).
        labels: Observed labels, (N,).
        log_flip: Logarithm of the flip matrix T, (K, K), with -inf on its diagonal.
        difficulty: Difficulty d.

    Example:
        >>> log_f = torch.tensor([[0.6, 0.3, 0.1]]).log()
        >>> even = torch.full((3, 3), 0.5).fill_diagonal_(0.0).log()
        >>> flips_at(log_f, torch.tensor([1]), even, 1.0).exp()
        tensor([[0.6250, 0.0000, 0.4167]])
    """
    towards = difficulty / (1 + difficulty)
    own = labels[:, None]
    others = (-torch.expm1(log_f)).clamp_min(torch.finfo(log_f.dtype).tiny)
    near = (log_f.gather(-1, own) - others.log()).exp().scatter(-1, own, 0.0)
    return ((1 - towards) * log_flip.mT[labels].exp() + towards * near).log()


def estimate_at_difficulty(
    evidence: Evidence, prior: FlipPrior, start: Transition, difficulty: float
) -> Transition:
    """Return rates and flips at a difficulty, by EM.

    Args:
        evidence: Out-of-fold predictions of the true label at some sharpness, and observed labels.
        prior: Prior on rates and flips.
        start: Estimate at difficulty 0 from the same evidence.
        difficulty: Difficulty d, above 0.
    """
    log_f, labels = evidence.log_probs.double(), evidence.labels
    change, weights = rate_change(log_f, difficulty), evidence.weights.double()
    known, own = evidence.verified.codes, labels[:, None]
    rate, flip, counts = start.rate.double(), start.flip.double(), start.counts
    for _ in range(_ITERATIONS):
        log_flip = zero_diagonal(off_diagonal(flip).log(), fill=-math.inf)
        row_flip = flips_at(log_f, labels, log_flip, difficulty)
        story = log_f, labels, rate.logit(), log_flip, change
        posterior = label_flip_log_posterior(*story, row_flip=row_flip, **known).exp()
        posterior = posterior.nan_to_num(0.0) * weights[:, None]
        wrong = posterior.scatter(-1, own, 0.0)
        # The part of the wrong labels that comes from T, not from the predictions of the row.
        part = (log_flip.mT[labels] - math.log1p(difficulty) - row_flip).exp().nan_to_num(0.0)
        sums = torch.zeros_like(flip).index_add_(0, labels, wrong * part).T
        flip = zero_diagonal(anchor_start(sums, prior)[1])
        before, rate = rate, _rates(rate, posterior, wrong, change, prior)
        counts = torch.zeros_like(flip).index_add_(0, labels, posterior).T
        if float((rate - before).abs().max()) < _TOLERANCE:
            break
    return replace(
        start,
        rate=rate,
        flip=flip,
        counts=counts,
        class_frequency=counts.sum(1) / counts.sum(),
    )


def log_verified(known: Evidence, transition: Transition, difficulty: float) -> float:
    """Return the weighted sum of log p(verified value | x, y) over verified rows, in nats.

    Args:
        known: Predictions and observed labels of the verified rows.
        transition: Rates and flips at the difficulty.
        difficulty: Difficulty d.
    """
    log_f, labels = known.log_probs, known.labels
    latents = known.latents(transition)
    log_flip = zero_diagonal(latents["flip"].log(), fill=-math.inf)
    story = log_f, labels, latents["rate"].logit(), log_flip, rate_change(log_f, difficulty)
    row_flip = flips_at(log_f, labels, log_flip, difficulty)
    joint, marginal = (
        log_marginal(*label_flip_log_joint(*story, row_flip=row_flip, **verified.codes))
        for verified in (known.verified, NOTHING)
    )
    return float((joint - marginal).double() @ known.weights.double())


def _rates(
    rate: Tensor, posterior: Tensor, wrong: Tensor, change: Tensor, prior: FlipPrior
) -> Float[Tensor, " k"]:
    """Return the rates at which the expected numbers of wrong labels are those of the posterior."""
    a, b = prior.rate
    alpha, found = rate.logit(), wrong.sum(0) + a
    for _ in range(_NEWTON):
        each = (alpha + change[:, None]).sigmoid()
        alone = alpha.sigmoid()
        expected = (posterior * each).sum(0) + (a + b) * alone
        slope = (posterior * each * (1 - each)).sum(0) + (a + b) * alone * (1 - alone)
        alpha = alpha + ((found - expected) / slope).clamp(-1, 1)
    return alpha.sigmoid()
