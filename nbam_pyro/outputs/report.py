"""What `from_pred_probs` found."""

from dataclasses import dataclass

import pandas as pd

__all__ = ["FLAGGED", "PredProbsReport"]

FLAGGED = 0.5
"""A label whose responsibility is above it counts as flagged."""

# Rows of the table of the most suspicious labels.
_SHOWN = 20


@dataclass(frozen=True, eq=False)
class PredProbsReport:
    """What `from_pred_probs` found; `print` shows it rounded, with the most suspicious labels.

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
            flagged (responsibilities above one half), verified_log_prob (log p(true label | x,
            label) summed over verified rows, in nats; NaN where there are none).
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

    def __str__(self) -> str:
        found = self.contamination
        return (
            f"Share of wrong labels: {_percent(found['rate'])} (interval {_percent(found['low'])} "
            f"to {_percent(found['high'])}, band {_percent(found['band_low'])} to "
            f"{_percent(found['band_high'])}) of {len(self.rows):,} labels.\n"
            f"{self._suspicious()}\n{self.note}"
        )

    def _suspicious(self) -> str:
        r = self.rows["responsibility"]
        number = int((r > FLAGGED).sum())
        if not number:
            return (
                "None is suspicious: the largest probability of being wrong is "
                f"{_percent(r.max())}."
            )
        worst = self.rows.sort_values("responsibility", ascending=False, kind="stable")
        shown = worst.head(min(number, _SHOWN)).drop(columns="suggested_probability")
        table = shown.to_string(formatters={"responsibility": _percent})
        return (
            f"{number:,} are more probably wrong than right"
            + (f"; the {_SHOWN} most suspicious" if number > _SHOWN else "")
            + f":\n{table}"
        )

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


def _percent(share: float) -> str:
    """A share in words, never rounded to nothing or to everything.

    Example:
        >>> [_percent(share) for share in (0.0, 0.0004, 0.123, 0.9999, 1.0)]
        ['0 %', 'below 0.1 %', '12.3 %', 'above 99.9 %', '100 %']
    """
    if share in (0, 1):
        return f"{100 * share:.0f} %"
    if not 0.001 <= share <= 0.999:
        return "below 0.1 %" if share < 0.5 else "above 99.9 %"
    return f"{100 * share:.1f} %"
