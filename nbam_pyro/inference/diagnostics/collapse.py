"""`CollapseReport`: signs that the responsibilities of a fit mean nothing."""

from dataclasses import dataclass

import numpy as np

from nbam_pyro.outputs.gains import LEARNED
from nbam_pyro.storage import Probability

__all__ = ["COLLAPSE_ADVICE", "CollapseReport", "collapse_clause", "collapse_report"]

COLLAPSE_ADVICE = (
    "use more rows, features that say more about the targets, or another network, and verify rows "
    "that are chosen at random"
)
"""Clause that says what helps against a collapse."""


@dataclass(frozen=True)
class CollapseReport:
    """Whether the switch of a fit separates clean targets from contaminated ones.

    The switch z of a row is 1 if its target is contaminated. The responsibility P(z=1 | x, y) is
    the probability that the target is wrong. A fit has collapsed if its responsibilities mean
    nothing.

    Attributes:
        contamination: Mean responsibility of the rows of the report.
        disagreement: Share of rows whose target contradicts the clean predictor. A label
            contradicts it if another class is more probable. For each predicted class, only the
            half of the rows with the most confident predictions counts, because in the other half,
            correct labels of overlapping classes also contradict the predictor. A measurement
            contradicts it if its residual exceeds five robust standard deviations. None if the
            story declares no clean predictor.
        verified_accuracy: Share of the verified switches that the fit infers correctly from x and y
            alone. None if nothing is verified.
        gain: Mean of log p(label | x) minus the log frequency of the label, divided by the standard
            error of this mean, on rows that the network was not trained on. None if it is unknown,
            and for measurements.
    """

    contamination: Probability
    disagreement: Probability | None
    verified_accuracy: Probability | None = None
    gain: float | None = None

    @property
    def vanished(self) -> bool:
        """Whether disagreement is above 5 % and contamination is less than a quarter of it."""
        if self.disagreement is None:
            return False
        return self.disagreement > 0.05 and self.contamination < 0.25 * self.disagreement

    @property
    def exchanged(self) -> bool:
        """Whether most rows are contaminated, and most verified switches do not confirm it.

        The clean and the anomaly likelihood have then exchanged their roles.
        """
        return self.contamination > 0.5 and (self.verified_accuracy or 0.0) <= 0.5

    @property
    def learned_nothing(self) -> bool:
        """Whether the network predicts labels no better than their frequencies do."""
        return self.gain is not None and self.gain < LEARNED

    @property
    def collapsed(self) -> bool:
        """Whether the fit shows one of the three signs; its responsibilities then mean nothing."""
        return self.vanished or self.exchanged or self.learned_nothing

    def __str__(self) -> str:
        """Return the state of the fit, a phrase that follows "The fit has"."""
        if self.learned_nothing:
            return (
                "learned nothing: its network predicts labels of unseen rows no better than their "
                "frequencies do"
            )
        if self.vanished:
            state = "collapsed to no contamination"
        elif self.exchanged:
            state = "exchanged its clean and anomaly likelihoods"
        else:
            state = "shown no sign of collapse"
        share = "unknown" if self.disagreement is None else f"{self.disagreement:.3f}"
        return f"{state} (mean responsibility {self.contamination:.3f}, disagreement {share})"


def collapse_clause(state: str) -> str:
    """Return a clause that says that a fit has collapsed.

    Args:
        state: Text of its `CollapseReport`, a phrase that follows "The fit has".
    """
    return f"the fit has {state}, so its responsibilities mean nothing"


def collapse_report(
    responsibilities: np.ndarray,
    predicted: np.ndarray | None,
    y: np.ndarray | None,
    *,
    verified_accuracy: float | None = None,
    gain: float | None = None,
) -> CollapseReport:
    """Compare the responsibilities of a fit with the targets that contradict its predictor.

    Give held-out rows if there are any. If the contamination rate has fallen to 0, no row has a
    large responsibility although many targets contradict the predictor. Contamination near 0 with
    little disagreement only means that the data are clean. If even rows with similar x have random
    labels, contamination and ambiguity cannot be separated, and a fit without contamination counts
    as collapsed.

    Args:
        responsibilities: P(z=1 | x, y), (N, *dims), without the verified values.
        predicted: Class probabilities (N, ..., K), or predicted means with the shape of y. None if
            the story declares no clean predictor.
        y: Observed targets, (N, ...). None without predictions. Measurements and means are in units
            of the clean scale.
        verified_accuracy: Share of verified switches that are inferred correctly. None if nothing
            is verified.
        gain: Mean of log p(label | x) minus the log frequency of the label, divided by the standard
            error of this mean (see `CollapseReport`). None if it is unknown.

    Returns:
        The report.

    Example:
        >>> predicted = np.eye(2)[[0, 0, 0, 1]]
        >>> collapse_report(np.zeros(4), predicted, np.array([0, 1, 0, 1])).collapsed
        True
    """
    contamination = float(responsibilities.mean())
    if predicted is None or y is None:
        return CollapseReport(contamination, None, verified_accuracy, gain)
    if predicted.ndim > y.ndim:
        confidence, label = predicted.max(-1), predicted.argmax(-1)
        unexpected = (label != y)[_most_confident_half(confidence, label)]
    else:
        residual = np.abs(y - predicted)
        # Five and not three, because clean noise may have the tails of a Laplace or a Student-t.
        unexpected = residual > 5 * 1.4826 * np.median(residual)
    return CollapseReport(contamination, float(unexpected.mean()), verified_accuracy, gain)


def _most_confident_half(confidence: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return True for the half of the rows of each predicted class with the most confidence."""
    chosen = np.zeros(predicted.shape, dtype=bool)
    for c in np.unique(predicted):
        own = predicted == c
        chosen |= own & (confidence >= np.median(confidence[own]))
    return chosen
