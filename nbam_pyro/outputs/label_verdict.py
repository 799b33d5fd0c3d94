"""The verdict on labels, given predicted probabilities."""

import math

import numpy as np

from nbam_pyro.outputs.label_readings import Readings, unskilled
from nbam_pyro.outputs.open_share import COMPETES, open_share, unknown_share
from nbam_pyro.outputs.verdict import Explanation, Level, Verdict

__all__ = ["label_verdict"]

# Names of two classes are in doubt if this probability or more says that they are exchanged.
_EXCHANGED = 0.05


def label_verdict(
    readings: Readings, shares: np.ndarray, *, contamination: float, probability: float
) -> Verdict:
    """Return the verdict.

    Args:
        readings: Explanations and their weights.
        shares: Draws of the contaminated share, (S,).
        contamination: Mean responsibility.
        probability: Posterior probability that the interval of the contaminated share contains.
    """
    tail = (1 - probability) / 2
    low, high = np.quantile(shares, [tail, 1 - tail])
    useless, exchanged = unskilled(readings.data), _exchanged(readings)
    level: Level = "identified"
    if open_share(low, high, all_right=readings.all_right, share=float(shares.mean())):
        level = "weak"
    if unknown_share(low, high) or useless or exchanged:
        level = "cannot tell"
    reasons = []
    if useless:
        reasons.append(
            "The classifier agrees with the labels no more often than the most frequent class does."
        )
    reasons += [
        f"The names of the classes {{{c}}} and {{{d}}} may be exchanged: most of their labels "
        "would be wrong."
        for c, d in exchanged
    ]
    if level != "identified" and not useless:
        reasons.append(
            f"The contaminated share lies between {low:.1%} and {high:.1%}, depending on how far "
            "the classifier can be trusted where it contradicts labels."
        )
    explanations = () if level == "identified" else _explanations(readings, shares)
    separates = () if level == "identified" else (_separates(contamination, shares),)
    return Verdict(
        level=level,
        reasons=tuple(reasons),
        explanations=explanations,
        separates=separates,
    )


def _exchanged(readings: Readings) -> list[tuple[int, int]]:
    """Return pairs of classes whose labels are mostly wrong, each with the label of the other."""
    k = readings.data.log_p.shape[1]
    doubt = np.zeros((k, k))
    for weight, one in zip(readings.weight, readings.transitions, strict=True):
        joint = one.counts.numpy()
        own = np.diagonal(joint)
        doubt += weight * (own[:, None] + own < joint + joint.T)
    return [(int(c), int(d)) for c, d in np.argwhere(np.triu(doubt, 1) > _EXCHANGED)]


def _explanations(readings: Readings, shares: np.ndarray) -> tuple[Explanation, ...]:
    """Return both explanations, the more probable one first."""
    if readings.all_right < COMPETES:
        return ()
    wrong = 1 - readings.all_right
    both = [
        Explanation(
            text="Labels are wrong where the classifier is certain of another class.",
            contamination=min(1.0, float(shares.mean()) / wrong),
            weight=wrong,
        ),
        Explanation(
            text="No label is wrong: all disagreements are mistakes of the classifier.",
            contamination=0.0,
            weight=readings.all_right,
        ),
    ]
    return tuple(sorted(both, key=lambda one: -(one.weight or 0)))


def _separates(contamination: float, shares: np.ndarray) -> str:
    """Return how many verified rows would halve the interval.

    If v rows that are drawn at random are verified, the share has a variance of s (1 - s) / v from
    them alone. Both together must have a quarter of the present variance.
    """
    s = max(contamination, 0.5 * float(shares.std()))
    needed = math.ceil(3 * s * (1 - s) / max(float(shares.var()), 1e-9))
    return (
        f"About {max(needed, 5)} verified rows, drawn at random, would halve the interval. "
        "Verified rows also determine the sharpness."
    )
