"""Plot of precision and recall of flags against the threshold."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from nbam_pyro.inference.workflow.predictive_checks import KnownFlips
from nbam_pyro.plots.sources import responsibilities_of, truth

__all__ = ["precision_recall"]

_THRESHOLDS = np.linspace(0, 1, 201)


def precision_recall(values: Any, contaminated: Any = None, *, ax: Axes | None = None) -> Axes:
    r"""Draw precision and recall against the responsibility above which rows are flagged.

    Solid lines are what the responsibilities r promise. If :math:`F = \{i : r_i > t\}` are the
    flagged rows at the threshold t, the expected precision is the mean of r over F, and the
    expected recall is

    .. math::
        \frac{\sum_{i \in F} r_i}{\sum_i r_i}

    Dashed lines are what is true, if the truth is known. Where no row is flagged, there is no
    precision.

    Args:
        values: Responsibilities (probabilities that a row is contaminated), (N,), or an object that
            contains them: a `Fit`, a fitted estimator, a `ContaminationReport`, or a `KnownFlips`.
        contaminated: Truth, (N,) booleans or 0 and 1. None for the truth in a `KnownFlips`; with
            other objects only the expected values are drawn.
        ax: Axes to draw on; None for the current axes.

    Raises:
        DataError: The object contains no responsibilities, or lengths differ.

    Example:
        >>> import numpy as np
        >>> from matplotlib.figure import Figure
        >>> ax = precision_recall(np.array([0.9, 0.2, 0.7]), ax=Figure().subplots())
        >>> [text.get_text() for text in ax.get_legend().get_texts()]
        ['precision, expected', 'recall, expected']
    """
    r = responsibilities_of(values)
    if contaminated is None and isinstance(values, KnownFlips):
        contaminated = values.flipped
    ax = ax or plt.gca()
    _lines(ax, r, r, "-", "expected")
    if contaminated is not None:
        _lines(ax, r, truth(contaminated, len(r)).astype(float), "--", "true")
    ax.axvline(0.5, color="grey", linestyle=":")
    ax.set_xlim(-0.02, 1.02)
    ax.set_ylim(-0.02, 1.02)
    ax.set_xlabel("flagged above this responsibility")
    ax.set_ylabel("share")
    ax.set_title("What a threshold finds")
    ax.legend(fontsize="small")
    return ax


def _lines(ax: Axes, r: np.ndarray, wrong: np.ndarray, style: str, kind: str) -> None:
    """Draw precision and recall, given how much each row counts as contaminated, (N,)."""
    order = np.argsort(r)
    after = len(r) - np.searchsorted(r[order], _THRESHOLDS, side="right")  # numbers of flags
    total = np.r_[0.0, wrong[order][::-1].cumsum()]
    found = total[after]
    some = after > 0
    precision = found[some] / after[some]
    ax.plot(_THRESHOLDS[some], precision, style, color="tab:blue", label=f"precision, {kind}")
    if total[-1] > 0:
        recall = found / total[-1]
        ax.plot(_THRESHOLDS, recall, style, color="tab:orange", label=f"recall, {kind}")
