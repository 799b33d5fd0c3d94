"""Find out what the data can tell: from a fit of a latent true label to its `Identifiability`."""

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from nbam_pyro.inference.diagnostics.collapse import CollapseReport
from nbam_pyro.inference.diagnostics.identifiability import Identifiability, MutualPair
from nbam_pyro.inference.steps.attempts import Attempt
from nbam_pyro.inference.steps.evidence import Evidence
from nbam_pyro.models.priors.pseudo_counts import FlipPrior

_SHARPNESS = (0.5, 0.75, 1.0, 1.5, 2.0)
# A flip is present where its rate exceeds this with 95 % probability.
_PRESENT = 0.01
# So many verified rows of a mutual pair must speak for one reading more than for the other.
_VOTES = 2
# Attempts less probable than the best by more standard errors than this are out of the question.
_CLEARLY = 2.0
# Beyond so many classes only exchanges of two are looked at.
_EXACT = 100


def identify(
    responsibility: np.ndarray,
    occupancy: np.ndarray,
    matrices: np.ndarray,
    *,
    collapse: CollapseReport,
    echoed: float | None,
    prior: FlipPrior,
    evidence: Evidence | None,
    attempts: list[Attempt],
    undecided: list[Tensor],
) -> Identifiability:
    """The report of a fit of a `LabelFlip`.

    Args:
        responsibility: P(z=1 | x, y) of the rows it was fitted to, (N, *dims).
        occupancy: Share of the rows that truly are of each class, (K,).
        matrices: draws of M, (S, K, K).
        collapse: of the held-out rows.
        echoed: of the report.
        prior: of rates and flips.
        evidence: log probabilities of the true label out of fold; None for none.
        attempts: what the fit came to from each start that was not given up early.
        undecided: M from starts given up though not clearly worse.
    """
    margins = permutation_margins(matrices, occupancy)
    return Identifiability(
        flagged=float((responsibility > 0.5).mean()),
        alarm=str(collapse) if collapse.collapsed else None,
        margin=_floats(margins.mean(0)),
        margin_probability=_floats((margins > 0).mean(0)),
        occupancy=_floats(occupancy),
        band=() if evidence is None else _band(evidence, prior),
        restarts=_floats(_restarts(attempts, undecided, matrices.shape[-1])),
        pairs=tuple(_pairs(matrices, evidence)),
        echoed=echoed,
        class_prior=None if evidence is None else evidence.class_prior,
    )


def permutation_margins(matrices: np.ndarray, occupancy: np.ndarray) -> np.ndarray:
    r"""Permutation margin of every class at every draw of M, (S, K).

    With J_kj = n_k M_kj / n, the trace of J less that of the best assignment of names in which k
    has another one. Beyond a hundred classes only exchanges of k with one other class count.

    Args:
        matrices: draws of M, (S, K, K).
        occupancy: share of the rows that are of each class, (K,).

    Example:
        >>> permutation_margins(np.array([[[0.6, 0.4], [0.4, 0.6]]]), np.array([0.5, 0.5]))
        array([[0.2, 0.2]])
    """
    joint = occupancy[:, None] * matrices
    k = joint.shape[-1]
    if k > _EXACT:
        own = np.diagonal(joint, axis1=1, axis2=2)
        exchanged = own[:, :, None] + own[:, None] - joint - joint.transpose(0, 2, 1)
        return (exchanged + np.where(np.eye(k, dtype=bool), np.inf, 0.0)).min(-1)
    return np.stack([[_margin(one, c) for c in range(k)] for one in joint])


def _margin(joint: np.ndarray, c: int) -> float:
    forbidden = joint.copy()
    forbidden[c, c] = -1e3
    rows, columns = linear_sum_assignment(-forbidden)
    return float(joint.trace() - joint[rows, columns].sum())


def _band(evidence: Evidence, prior: FlipPrior) -> tuple[tuple[float, float], ...]:
    """Contamination rate by sharpness, each estimate started from the one before."""
    band, start = [], None
    for sharpness in _SHARPNESS:
        estimate = evidence.transition(prior, sharpness=sharpness, start=start)
        start = estimate.counts
        band.append((sharpness, estimate.share))
    return tuple(band)


def _restarts(attempts: list[Attempt], undecided: list[Tensor], k: int) -> np.ndarray:
    """Largest distance of each row of M between attempts that explain the labels as well."""
    if not attempts:
        return np.zeros(k)
    best = max(attempts, key=lambda one: float(one.log_marginals().mean()))
    rivals = [one.transition.matrix for one in attempts if one.gain(best) > -_CLEARLY]
    apart = [(m - best.transition.matrix).abs().sum(1) / 2 for m in (*rivals, *undecided)]
    return torch.stack(apart).max(0).values.numpy()


def _pairs(matrices: np.ndarray, evidence: Evidence | None) -> list[MutualPair]:
    mean, low = matrices.mean(0), np.quantile(matrices, 0.05, axis=0)
    present = (low > _PRESENT) & (low.T > _PRESENT) & np.triu(np.ones_like(mean, dtype=bool), 1)
    return [
        MutualPair(
            classes=(int(c), int(d)),
            rates=(float(mean[c, d]), float(mean[d, c])),
            exchanged=(float(mean[d, d]), float(mean[c, c])),
            decided=evidence is not None and _decided(evidence, int(c), int(d)),
        )
        for c, d in np.argwhere(present)
    ]


def _decided(evidence: Evidence, c: int, d: int) -> bool:
    """Whether verified labels of two classes agree with the names that they were given."""
    true = evidence.true_labels
    if true is None:
        return False
    votes = []
    for own, other in ((c, d), (d, c)):
        rows = evidence.log_probs[true == own]
        votes.append(int((rows[:, own] - rows[:, other]).sign().sum()))
    return sum(votes) >= _VOTES and min(votes) >= 0


def _floats(values: np.ndarray) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
