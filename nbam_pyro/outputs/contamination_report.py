"""`ContaminationReport`, the result of every function that puts a switch on outputs of a model."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr

from nbam_pyro.checks.containers import unwrapped
from nbam_pyro.errors import StoryError
from nbam_pyro.outputs import report_files
from nbam_pyro.outputs.label_tables import LabelTables
from nbam_pyro.outputs.report_text import report_text
from nbam_pyro.outputs.scores.curve import ScoreCurve, checked_scores
from nbam_pyro.outputs.share import summarise
from nbam_pyro.outputs.verdict import Verdict

__all__ = ["FLAGGED", "ContaminationReport", "load_report"]

FLAGGED = 0.5
"""A row is flagged if its responsibility is larger than this."""


@dataclass(frozen=True, eq=False, kw_only=True)
class ContaminationReport:
    """Which rows are contaminated, how many, and how sure this is, given the outputs of a model.

    `from_pred_probs`, `from_predictions`, `from_scores` and `from_series` return it. A
    responsibility is the probability that a row is contaminated, P(z=1 | outputs, target): its
    label is wrong, its measurement is wrong, or the row is an anomaly. `print` shows the report
    rounded, with the most suspicious rows.

    Attributes:
        kind: Kind of the targets: "labels", "measurements", "scores" or "series".
        rows: Table with one row per row of the data, and their index. It has a column
            "responsibility"; the other columns depend on the kind. For labels they are label,
            predicted_label (the most probable class by the classifier), suggested_label (the most
            probable true label given x and the label) and suggested_probability (the probability of
            the suggested label). For measurements they are measurement, prediction and residual
            (standardised by the median and the median absolute deviation). For scores the only
            further column is score. For series see `from_series`.
        posterior: Draws of all unknown numbers, with the dimension "draw". "contamination" is the
            contaminated share of these rows, "population_rate" the probability of contamination of
            a new row, and for series "dwell" the mean length of a burst.
        prior: Draws of the same numbers before the data, with the dimension "draw": "rate" of each
            class for labels, if labels may be wrong; "contamination" for measurements and scores.
        verdict: Verdict on whether the data identify the contamination.
        note: Sentences that state which uncertainties the intervals contain, and what they assume
            to be known.
        probability: Probability that each interval contains, for example 0.9.
        labels: Tables about classes; None if the targets are not labels.
        curve: Responsibility as a function of the score; None if the targets are not scores.
        persistence: Log evidence of bursts minus that of independent rows, in nats; None if the
            rows are not series.
    """

    kind: Literal["labels", "measurements", "scores", "series"]
    rows: pd.DataFrame
    posterior: xr.Dataset
    prior: xr.Dataset
    verdict: Verdict
    note: str
    probability: float
    labels: LabelTables | None = None
    curve: ScoreCurve | None = None
    persistence: float | None = None

    @property
    def contamination(self) -> float:
        """Contaminated share of these rows: the mean responsibility."""
        # An exact sum does not depend on the order of the rows.
        return math.fsum(self.rows["responsibility"]) / len(self.rows)

    @property
    def contamination_interval(self) -> tuple[float, float]:
        """Ends of the central interval of the contaminated share of these rows.

        With scores or series and the verdict "cannot tell", the interval also contains 0 and one
        half, as far as verified rows allow: anomalies that score like normal rows are not seen.
        """
        return self._interval("contamination", self.contamination)

    @property
    def population_rate(self) -> float:
        """Probability that a new row is contaminated: the posterior mean of the rate."""
        return float(self.posterior["population_rate"].mean())

    @property
    def population_rate_interval(self) -> tuple[float, float]:
        """Ends of the central interval of the probability that a new row is contaminated.

        With scores or series and the verdict "cannot tell", it also contains 0 and one half.
        """
        return self._interval("population_rate", self.population_rate)

    @property
    def dwell(self) -> float:
        """Posterior median of the dwell, the mean length of a burst, in the unit of the order.

        Raises:
            StoryError: The rows are not series.
        """
        return float(np.median(self._dwells()))

    @property
    def dwell_interval(self) -> tuple[float, float]:
        """Ends of the central interval of the dwell.

        Raises:
            StoryError: The rows are not series.
        """
        tail = (1 - self.probability) / 2
        low, high = np.quantile(self._dwells(), [tail, 1 - tail])
        return float(low), float(high)

    def _dwells(self) -> np.ndarray:
        if self.kind != "series":
            raise StoryError(
                f"A dwell is for series, but this report is about {self.kind}. Use from_series."
            )
        return self.posterior["dwell"].values

    def _interval(self, name: str, mean: float) -> tuple[float, float]:
        found = summarise(mean, self.posterior[name].values, self.probability)
        if self.kind in ("scores", "series") and self.verdict.level == "cannot tell":
            # Draws contain only the anomalies that the scores show. Verified rows are certain.
            least, most = 0.0, 1.0
            if name == "contamination":
                certain = self.rows["responsibility"]
                least, most = (certain == 1).mean(), 1 - (certain == 0).mean()
            found = found.unknown(least=float(least), most=float(most))
        return found.low, found.high

    def __str__(self) -> str:
        classes = None if self.labels is None else self.labels.rates["class"].tolist()
        verdict = self.verdict if classes is None else self.verdict.named(classes)
        return report_text(
            "rows" if self.kind == "series" else self.kind,
            self.rows,
            interval=self.contamination_interval,
            probability=self.probability,
            told=[*verdict.lines(), self.note],
            flagged=FLAGGED,
        )

    def responsibility_of(self, scores: Any) -> np.ndarray:
        """Return the probability that each row with a given score is an anomaly, (M,).

        The function is the one that gave unverified rows of this report their responsibilities. A
        score above all scores of this report has the responsibility of the highest one.

        Args:
            scores: Finite scores of any rows, (M,), from the same detector.

        Raises:
            StoryError: The targets are not scores.
            DataError: Scores are not a sequence of finite numbers.

        Example:
            >>> from nbam_pyro.outputs import from_scores
            >>> rng = np.random.default_rng(0)
            >>> report = from_scores(np.r_[rng.normal(size=450), rng.normal(9, 1, 50)])
            >>> report.responsibility_of([0.0, 9.0]).round(2)
            array([0., 1.])
        """
        if self.curve is None:
            raise StoryError(
                f"responsibility_of is for scores, but this report is about {self.kind}. Use its "
                "rows."
            )
        return self.curve(checked_scores(unwrapped(scores)))

    def to_datatree(self) -> xr.DataTree:
        """Return an ArviZ tree: "posterior", "prior" and "constant_data" (the rows)."""
        drawn = {"posterior": self.posterior, "prior": self.prior}
        groups = {name: one.expand_dims("chain") for name, one in drawn.items()}
        rows = self.rows.rename_axis("row").to_xarray()
        return xr.DataTree.from_dict({**groups, "constant_data": rows})

    def to_cleanlab(self) -> pd.DataFrame:
        """Return the rows of labels in the columns of cleanlab's `get_label_issues`.

        Returns:
            A table with the index of the data: is_label_issue (True if the responsibility is above
            one half), label_quality (one minus the responsibility), given_label and
            predicted_label.

        Raises:
            StoryError: The targets are not labels.

        Example:
            >>> from nbam_pyro import from_pred_probs
            >>> report = from_pred_probs([0, 1, 0], [[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])
            >>> list(report.to_cleanlab())
            ['is_label_issue', 'label_quality', 'given_label', 'predicted_label']
        """
        if self.kind != "labels":
            raise StoryError(
                f"to_cleanlab is for labels, but this report is about {self.kind}. Use its rows."
            )
        return pd.DataFrame(
            {
                "is_label_issue": self.rows["responsibility"] > FLAGGED,
                "label_quality": 1 - self.rows["responsibility"],
                "given_label": self.rows["label"],
                "predicted_label": self.rows["predicted_label"],
            }
        )

    def save(self, folder: str | Path, *, overwrite: bool = False) -> None:
        """Write the report to a folder, as Parquet tables and JSON. `load_report` reads it.

        Args:
            folder: Folder to write. Its parent folders are created if they do not exist.
            overwrite: Whether a folder that this library wrote may be replaced.

        Raises:
            FolderError: The folder exists and may not be replaced, cannot be written, or a column
                cannot be stored in a Parquet table.
        """
        report_files.write_report(Path(folder), vars(self), overwrite=overwrite)


def load_report(folder: str | Path) -> ContaminationReport:
    """Read a report that `ContaminationReport.save` wrote. No pickled object is read.

    Args:
        folder: Folder of the report.

    Raises:
        FolderError: The folder is not a report, or a file is missing or was changed.

    Example:
        >>> import tempfile
        >>> from nbam_pyro import from_pred_probs
        >>> report = from_pred_probs([0, 1, 0], [[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     report.save(f"{folder}/report")
        ...     load_report(f"{folder}/report").contamination == report.contamination
        True
    """
    return ContaminationReport(**report_files.read_report(Path(folder)))
