"""What `from_pred_probs` found."""

from dataclasses import dataclass

import pandas as pd

__all__ = ["FLAGGED", "PredProbsReport"]

FLAGGED = 0.5
"""A label whose responsibility is above it counts as flagged."""


@dataclass(frozen=True, eq=False)
class PredProbsReport:
    """What `from_pred_probs` found.

    Attributes:
        rows: one row per label, with the index of the data: label, predicted_label (most probable
            by `pred_probs`), responsibility, suggested_label and suggested_probability (of the most
            probable given x and the label).
        rates: one row per class: class, rate, low, high, band_low, band_high. The rate is of true
            members of the class; low and high are an interval given the sharpness, band_low and
            band_high the smallest and largest rate over the band.
        contamination: the share of wrong labels: rate, low, high, band_low, band_high.
        transition_matrix: M = p(observed | true), one row per true class.
        flip_matrix: T = p(observed | true, wrong), zero diagonal.
        band: one row per sharpness: sharpness, rate (share of wrong labels), log_marginal (nats),
            flagged (responsibilities above one half), gold_log_prob (log p(gold | x, label) summed
            over verified rows, in nats; NaN where there are none).
        sharpness: the one everything but the band is for.
        class_prior: the pseudo-count by which class frequencies were supposed to be even; None
            where they are those of `pred_probs`.
        note: what the intervals are conditional on, for the reader of a report.
    """

    rows: pd.DataFrame
    rates: pd.DataFrame
    contamination: pd.Series
    transition_matrix: pd.DataFrame
    flip_matrix: pd.DataFrame
    band: pd.DataFrame
    sharpness: float
    class_prior: float | None
    note: str

    def to_cleanlab(self) -> pd.DataFrame:
        """The rows in the columns of cleanlab's `get_label_issues`.

        Returns:
            is_label_issue (the responsibility is above one half), label_quality (one minus the
            responsibility), given_label and predicted_label, with the index of the data.

        Example:
            >>> from nbam_pyro import from_pred_probs
            >>> report = from_pred_probs([0, 1, 0], [[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])
            >>> list(report.to_cleanlab())
            ['is_label_issue', 'label_quality', 'given_label', 'predicted_label']
        """
        return pd.DataFrame(
            {
                "is_label_issue": self.rows["responsibility"] > FLAGGED,
                "label_quality": 1 - self.rows["responsibility"],
                "given_label": self.rows["label"],
                "predicted_label": self.rows["predicted_label"],
            }
        )
