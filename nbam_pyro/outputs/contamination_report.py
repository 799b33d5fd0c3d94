"""`ContaminationReport`, the result of every function that puts a switch on outputs of a model."""

from dataclasses import dataclass
from typing import Literal

import pandas as pd
import xarray as xr

from nbam_pyro.outputs.label_tables import LabelTables
from nbam_pyro.outputs.verdict import Verdict

__all__ = ["ContaminationReport"]


@dataclass(frozen=True, eq=False, kw_only=True)
class ContaminationReport:
    """Which rows are contaminated, how many, and how sure this is, given the outputs of a model.

    `from_pred_probs`, `from_predictions` and `from_scores` return it. A responsibility is the
    probability that a row is contaminated, P(z=1 | outputs, target): its label is wrong, its
    measurement is wrong, or the row is an anomaly. `print` shows the report rounded, with the most
    suspicious rows.

    Attributes:
        kind: Kind of the targets: "labels", "measurements" or "scores".
        rows: Table with one row per row of the data, and their index. It has a column
            "responsibility"; the other columns depend on the kind.
        posterior: Draws of all unknown numbers, with the dimension "draw". "contamination" is the
            contaminated share of these rows, "population_rate" the probability of contamination of
            a new row.
        verdict: What the data can tell about their contamination.
        note: Sentences about what the intervals contain, and what they take as given.
        probability: Probability that each interval contains, for example 0.9.
        labels: Tables about classes; None if the targets are not labels.
    """

    kind: Literal["labels", "measurements", "scores"]
    rows: pd.DataFrame
    posterior: xr.Dataset
    verdict: Verdict
    note: str
    probability: float
    labels: LabelTables | None = None

    @property
    def contamination(self) -> float:
        """Contaminated share of these rows: the mean responsibility."""
        return float(self.rows["responsibility"].mean())

    @property
    def contamination_interval(self) -> tuple[float, float]:
        """Ends of the central interval of the contaminated share of these rows."""
        return self._interval("contamination")

    @property
    def population_rate(self) -> float:
        """Probability that a new row is contaminated: the posterior mean of the rate."""
        return float(self.posterior["population_rate"].mean())

    @property
    def population_rate_interval(self) -> tuple[float, float]:
        """Ends of the central interval of the probability that a new row is contaminated."""
        return self._interval("population_rate")

    def _interval(self, name: str) -> tuple[float, float]:
        tail = (1 - self.probability) / 2
        low, high = self.posterior[name].quantile([tail, 1 - tail], dim="draw").values
        return float(low), float(high)

    def to_datatree(self) -> xr.DataTree:
        """Return an ArviZ tree with the groups "posterior" and "constant_data" (the rows)."""
        chain = self.posterior.expand_dims("chain")
        rows = self.rows.rename_axis("row").to_xarray()
        return xr.DataTree.from_dict({"posterior": chain, "constant_data": rows})
