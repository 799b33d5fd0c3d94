"""The significance improvement: how much a selection helps to see a small signal."""

import numpy as np
from numpy.typing import ArrayLike

from nbam_pyro.checks.weights import row_weights
from nbam_pyro.detection.sculpting.figure import Sculpting
from nbam_pyro.detection.sculpting.rows import check_some, column_of, threshold_at

__all__ = ["significance_improvement"]

# The smallest efficiency at which the significance improvement is maximised.
_RAREST = 1e-3


def significance_improvement(
    background: ArrayLike,
    signal: ArrayLike,
    *,
    efficiency: float | None = None,
    weights: ArrayLike | None = None,
) -> Sculpting:
    r"""Return the significance improvement of a selection by a score.

    .. math:: \mathrm{SI} = \epsilon_s / \sqrt{\epsilon_b}

    The efficiencies are the shares of signal rows and of background rows above a threshold. The
    significance of a small signal in a large background, S / sqrt(B), is multiplied by this number.
    A score without information has the value sqrt(epsilon_b), which is the floor.

    Args:
        background: Scores of background rows, high for anomalies, (N,).
        signal: Scores of signal rows, (M,).
        efficiency: Share of the background above the threshold, in (0, 1]. None for the largest
            value over all thresholds with a share of 0.001 or more.
        weights: Weights of the background rows, (N,). None for weights of 1.

    Raises:
        DataError: `efficiency` is not in (0, 1], or corresponds to less than one background row;
            or scores are missing.

    Example:
        >>> print(significance_improvement(np.arange(100.0), [50.0, 99.0], efficiency=0.04))
        2.500 (floor 0.200)
    """
    b, s = (column_of(one, name) for one, name in ((background, "background"), (signal, "signal")))
    w = row_weights(weights, len(b))
    if efficiency is not None:
        threshold = threshold_at(b, w, efficiency)
        share = float(w[b > threshold].sum() / w.sum())
        check_some(share, efficiency, len(b))
        found = float((s > threshold).mean()) / np.sqrt(share)
        return Sculpting(value=float(found), floor=float(np.sqrt(share)))
    order = np.argsort(-b, kind="stable")
    shares = np.cumsum(w[order]) / w.sum()
    # A threshold just below each background score lets all rows with this score pass.
    last = np.r_[np.diff(b[order]) != 0, True] & (shares >= _RAREST)
    above = 1 - np.searchsorted(np.sort(s), b[order][last], side="left") / len(s)
    values = above / np.sqrt(shares[last])
    best = int(values.argmax())
    return Sculpting(value=float(values[best]), floor=float(np.sqrt(shares[last][best])))
