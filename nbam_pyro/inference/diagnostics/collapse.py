"""Does the fit mean anything? Signs that it does not."""

from dataclasses import dataclass

import numpy as np

from nbam_pyro.storage import Probability

__all__ = ["CollapseReport", "collapse_report", "verified_accuracy"]


@dataclass(frozen=True)
class CollapseReport:
    """Whether the switch of a fit still tells clean from contaminated.

    Attributes:
        contamination: Mean responsibility of the rows looked at.
        disagreement: Share of rows whose target the clean predictor does not expect; None where
            the story declares no clean predictor. A label is not expected where another class is
            more probable; of each predicted class only the half of the rows that the predictor is
            surest of counts, since classes that overlap disagree elsewhere. A measurement is not
            expected where its residual exceeds five robust standard deviations.
        verified_accuracy: Share of the verified switches that the fit judges right without being
            told; None where nothing is verified.
        gain: How much more probable labels are by their features than by their frequencies alone,
            on rows that the network has not been trained on, in standard errors; None where that is
            not known, and for measurements.
    """

    contamination: Probability
    disagreement: Probability | None
    verified_accuracy: Probability | None = None
    gain: float | None = None

    @property
    def vanished(self) -> bool:
        """Disagreement is above 5 % and contamination explains less than a quarter of it."""
        surprising = self.disagreement
        if surprising is None:
            return False
        return surprising > 0.05 and self.contamination < 0.25 * surprising

    @property
    def exchanged(self) -> bool:
        """Most rows count as contaminated: the anomaly likelihood does the clean one's work.

        Unless most of the verified switches are judged right: then it is so.
        """
        return self.contamination > 0.5 and (self.verified_accuracy or 0.0) <= 0.5

    @property
    def learned_nothing(self) -> bool:
        """The network predicts labels no better than their frequencies, by three standard errors.

        Not two, because rates and flips are fitted to the same rows.
        """
        return self.gain is not None and self.gain < 3

    @property
    def collapsed(self) -> bool:
        """Any of the three: the flags mean nothing."""
        return self.vanished or self.exchanged or self.learned_nothing

    def __str__(self) -> str:
        if self.learned_nothing:
            return (
                "learned nothing: its network predicts labels of rows that it has not seen no "
                "better than their frequencies do"
            )
        if self.vanished:
            state = "collapsed to no contamination"
        elif self.exchanged:
            state = "exchanged its clean and anomaly likelihoods"
        else:
            state = "shown no sign of collapse"
        surprising = self.disagreement
        known = "not known" if surprising is None else f"{surprising:.3f}"
        return f"{state} (mean responsibility {self.contamination:.3f}, disagreement {known})"


def verified_accuracy(responsibilities: np.ndarray, switches: np.ndarray) -> float:
    """Share of the known switches, 1 or 0, that responsibilities judge right; -1 is unknown.

    Args:
        responsibilities: P(z=1 | x, y) without what is verified, (N, ...).
        switches: verified switches, the same shape, at least one of them known.

    Example:
        >>> verified_accuracy(np.array([0.9, 0.2, 0.8]), np.array([1, 1, -1]))
        0.5
    """
    known = switches >= 0
    return float(((responsibilities > 0.5) == (switches == 1))[known].mean())


def collapse_report(
    responsibilities: np.ndarray,
    predicted: np.ndarray | None,
    y: np.ndarray | None,
    *,
    verified_accuracy: float | None = None,
    gain: float | None = None,
) -> CollapseReport:
    """Compare what a fit flags with what it fails to predict, best on held-out rows.

    Where the prior of the switch has run to 0, nothing is flagged although many targets contradict
    the predictor. Contamination near 0 with little disagreement is simply clean data. Where labels
    are random even on rows that look alike, contamination and ambiguity are the same, and a fit
    without contamination counts as collapsed.

    Args:
        responsibilities: P(z=1 | x, y), (N,), without what is verified.
        predicted: Class probabilities (N, ..., K), or predicted means of the shape of y; None
            where the story declares no clean predictor.
        y: Observed targets, (N, ...); None where there is no prediction. Give measurements and
            means in units of the clean scale.
        verified_accuracy: Share of verified switches that are judged right; None where none is
            verified.
        gain: Of the report; None where it is not known.

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
        surprises = (label != y)[_surest(confidence, label)]
    else:
        residual = np.abs(y - predicted)
        # Five, not three: clean noise may have the tails of a Laplace or a Student-t.
        surprises = residual > 5 * 1.4826 * np.median(residual)
    return CollapseReport(contamination, float(surprises.mean()), verified_accuracy, gain)


def _surest(confidence: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Of each predicted class the half of the rows predicted with most confidence, booleans."""
    chosen = np.zeros(predicted.shape, dtype=bool)
    for c in np.unique(predicted):
        own = predicted == c
        chosen |= own & (confidence >= np.median(confidence[own]))
    return chosen
