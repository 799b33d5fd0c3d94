"""Compute the `LabelEvidence` of a fit of a latent true label."""

import numpy as np
import torch
from torch import Tensor

from nbam_pyro.inference.diagnostics.collapse import CollapseReport
from nbam_pyro.inference.diagnostics.label_evidence import DECIDING, LabelEvidence, MutualPair
from nbam_pyro.inference.steps.attempts import Attempt
from nbam_pyro.inference.steps.evidence import Evidence
from nbam_pyro.outputs.share import Share

# A flip counts as present if its rate exceeds this with 95 % probability.
_PRESENT = 0.01
# An attempt is clearly worse than the best if its labels are less probable by more than this many
# standard errors.
_CLEARLY = 2.0
# With more classes than this, only exchanges of two names are considered.
_EXACT = 100


def identify(
    responsibility: np.ndarray,
    true_label: np.ndarray,
    matrices: np.ndarray,
    *,
    share: Share | None,
    all_right: float,
    labels: np.ndarray,
    collapse: CollapseReport,
    echoed: float | None,
    evidence: Evidence | None,
    attempts: list[Attempt],
    undecided: list[Tensor],
    open_error: bool,
    hesitant: float,
    other_share: float | None,
) -> LabelEvidence:
    """Return the numbers from which the verdict of a fit of a `LabelFlip` is made.

    Args:
        responsibility: P(z=1 | x, y) of the rows of the fit, (N, *dims): the probability that the
            label is wrong.
        true_label: p(c | x, y) of each true class c, (N, *dims, K).
        matrices: Draws of the transition matrix M = p(observed | true), (S, K, K).
        share: Share of wrong labels, with its interval; None for predictions in-sample.
        all_right: Probability that no label is wrong.
        labels: Observed labels, (N, *dims).
        collapse: Collapse report of the fit.
        echoed: Share of the neighbours of flagged rows that have the label of the flagged row,
            minus the share that the fit predicts (see `label_excess`); None if unknown.
        evidence: Log probabilities of the true label, predicted out of fold; None without
            cross-fitting.
        attempts: Results of `CrossFit` from each start that was not discarded early.
        undecided: Transition matrices of discarded starts that were not clearly worse than the
            best. Each matrix is (K, K).
        open_error: Whether the clean error is declared open.
        hesitant: Probability that labels are wrong more often where the network hesitates.
        other_share: Factor by which the share of wrong labels changes if this is the other way
            round; None if it is not known.
    """
    posterior = true_label.reshape(-1, true_label.shape[-1])
    occupancy = posterior.mean(0)
    margins = permutation_margins(matrices, occupancy)
    return LabelEvidence(
        rows=responsibility.size,
        contamination=float(responsibility.mean()),
        flagged=float((responsibility > 0.5).mean()),
        alarm=str(collapse) if collapse.collapsed else None,
        margin=_floats(margins.mean(0)),
        margin_probability=_floats((margins > 0).mean(0)),
        occupancy=_floats(occupancy),
        share=None if share is None else (share.low, share.high),
        all_right=all_right,
        restarts=_floats(_restarts(attempts, undecided, matrices.shape[-1])),
        pairs=tuple(_pairs(matrices, posterior, labels.flatten(), evidence)),
        echoed=echoed,
        class_prior=None if evidence is None else evidence.class_prior,
        disagreement=(
            None if evidence is None or share is None else float(evidence.disagrees.double().mean())
        ),
        open_error=open_error,
        hesitant=hesitant,
        other_contamination=(
            None if other_share is None else min(1.0, other_share * float(responsibility.mean()))
        ),
    )


def permutation_margins(matrices: np.ndarray, occupancy: np.ndarray) -> np.ndarray:
    r"""Return the permutation margin of every class at every draw of M, (S, K).

    J_kj = n_k M_kj / n is the expected share of all n rows that have the true class k and the
    observed label j; n_k is the number of rows of class k. The margin of class k is the trace of J
    minus the trace under the best assignment of names in which k has another name. A positive
    margin means that the names of the fit are the best ones. With more than a hundred classes, only
    exchanges of k with one other class are considered.

    Args:
        matrices: Draws of the transition matrix M = p(observed | true), (S, K, K).
        occupancy: Share of the rows that truly belong to each class, (K,).

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
    """Return the permutation margin of class c for one matrix J, (K, K)."""
    from scipy.optimize import linear_sum_assignment

    forbidden = joint.copy()
    forbidden[c, c] = -1e3
    rows, columns = linear_sum_assignment(-forbidden)
    return float(joint.trace() - joint[rows, columns].sum())


def _restarts(attempts: list[Attempt], undecided: list[Tensor], k: int) -> np.ndarray:
    """Return the largest total variation of each row of M between equally good attempts."""
    if not attempts:
        return np.zeros(k)
    best = max(attempts, key=lambda attempt: float(attempt.log_marginals().mean()))
    similar = [a.transition.matrix for a in attempts if a.gain(best) > -_CLEARLY]
    distances = [(m - best.transition.matrix).abs().sum(1) / 2 for m in (*similar, *undecided)]
    return torch.stack(distances).max(0).values.numpy()


def _pairs(
    matrices: np.ndarray, posterior: np.ndarray, labels: np.ndarray, evidence: Evidence | None
) -> list[MutualPair]:
    """Return all pairs of classes with flips in both directions.

    Args:
        matrices: Draws of the transition matrix M = p(observed | true), (S, K, K).
        posterior: p(c | x, y) of each true class c, (N, K).
        labels: Observed labels, (N,).
        evidence: Log probabilities of the true label, predicted out of fold; None without
            cross-fitting.
    """
    mean, low = matrices.mean(0), np.quantile(matrices, 0.05, axis=0)
    present = (low > _PRESENT) & (low.T > _PRESENT) & np.triu(np.ones_like(mean, dtype=bool), 1)
    return [
        MutualPair(
            classes=(int(c), int(d)),
            rates=(float(mean[c, d]), float(mean[d, c])),
            exchanged=(float(mean[d, d]), float(mean[c, c])),
            decided=evidence is not None and _decided(evidence, int(c), int(d)),
            exchanged_contamination=exchanged_contamination(posterior, labels, int(c), int(d)),
        )
        for c, d in np.argwhere(present)
    ]


def exchanged_contamination(posterior: np.ndarray, labels: np.ndarray, c: int, d: int) -> float:
    """Return the share of wrong labels if the names of two classes are exchanged.

    After the exchange, an observed label c is right if the true class according to the fit is d,
    and an observed label d is right if the true class according to the fit is c.

    Args:
        posterior: p(c | x, y) of each true class c, (N, K).
        labels: Observed labels, (N,).
        c: Index of the first of the two classes.
        d: Index of the second of the two classes.
    """
    names = np.arange(posterior.shape[1])
    names[[c, d]] = d, c
    right = np.take_along_axis(posterior, names[labels][:, None], axis=1)
    return float(np.clip(1 - right.mean(dtype=np.float64), 0, 1))


def _decided(evidence: Evidence, c: int, d: int) -> bool:
    """Return whether verified labels of two classes confirm the names that the fit uses."""
    true = evidence.true_labels
    if true is None:
        return False
    support = []  # for each class, verified rows for the names minus verified rows against them
    for own, other in ((c, d), (d, c)):
        rows = evidence.log_probs[true == own]
        support.append(int((rows[:, own] - rows[:, other]).sign().sum()))
    return sum(support) >= DECIDING and min(support) >= 0


def _floats(values: np.ndarray) -> tuple[float, ...]:
    """Return the values of an array as Python numbers."""
    return tuple(float(value) for value in values)
