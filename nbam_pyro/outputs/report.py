"""Results of `from_pred_probs`."""

from dataclasses import dataclass

import pandas as pd

__all__ = ["FLAGGED", "PredProbsReport"]

FLAGGED = 0.5
"""A label is flagged if its responsibility is larger than this."""

# Number of rows in the table of the most suspicious labels.
_SHOWN = 20


@dataclass(frozen=True, eq=False)
class PredProbsReport:
    """Result of `from_pred_probs`; `print` shows it rounded, with the most suspicious labels.

    A responsibility is the probability that a label is wrong, P(z=1 | x, y). The band is a set of
    values of the sharpness for which everything is estimated again.

    Attributes:
        rows: Table with one row per label and the index of the data: label, predicted_label (the
            most probable class by `pred_probs`), responsibility, suggested_label (the most probable
            true label given x and the label) and suggested_probability (its probability).
        rates: Table with one row per class: class, rate, low, high, band_low, band_high. The rate
            is the share of wrong labels among true members of the class. low and high are the ends
            of an interval at this sharpness; band_low and band_high are the smallest and largest
            rate in the band.
        contamination: Share of wrong labels: rate, low, high, band_low, band_high.
        transition_matrix: M = p(observed | true), one row per true class.
        flip_matrix: T = p(observed | true, wrong), one row per true class, with a zero diagonal.
        band: Table with one row per sharpness: sharpness, rate (share of wrong labels),
            log_marginal (nats), flagged (number of responsibilities above one half),
            verified_log_prob (sum over verified rows of log p(true label | x, label), in nats; NaN
            if no row is verified).
        sharpness: Sharpness that all results except the band use.
        class_prior: Pseudo-count of each class, which makes class frequencies about equal; None if
            the frequencies are those of `pred_probs`.
        note: Explanation for readers of the report: which errors the intervals do not include.
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
                "No label is suspicious: the largest probability of being wrong is "
                f"{_percent(r.max())}."
            )
        worst = self.rows.sort_values("responsibility", ascending=False, kind="stable")
        shown = worst.head(min(number, _SHOWN)).drop(columns="suggested_probability")
        table = shown.to_string(formatters={"responsibility": _percent})
        return (
            f"{number:,} labels are more probably wrong than right"
            + (f"; the {_SHOWN} most suspicious" if number > _SHOWN else "")
            + f":\n{table}"
        )

    def to_cleanlab(self) -> pd.DataFrame:
        """Return the rows in the columns of cleanlab's `get_label_issues`.

        Returns:
            A table with the index of the data: is_label_issue (True if the responsibility is above
            one half), label_quality (one minus the responsibility), given_label and
            predicted_label.

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
    """Return a share as a text that is never rounded to 0 % or 100 %.

    Example:
        >>> [_percent(share) for share in (0.0, 0.0004, 0.123, 0.9999, 1.0)]
        ['0 %', 'below 0.1 %', '12.3 %', 'above 99.9 %', '100 %']
    """
    if share in (0, 1):
        return f"{100 * share:.0f} %"
    if not 0.001 <= share <= 0.999:
        return "below 0.1 %" if share < 0.5 else "above 99.9 %"
    return f"{100 * share:.1f} %"
