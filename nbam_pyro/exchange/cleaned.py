"""A cleaned table: rows whose label is kept, replaced or left out, with weights."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from nbam_pyro.decisions import Costs, flags
from nbam_pyro.errors import DataError
from nbam_pyro.exchange.run_rows import RunRows, as_text

__all__ = ["Rule", "cleaned"]

_FORMS = "fdr:0.05, costs:FALSE_ALARM,MISS, costs:FALSE_ALARM,MISS,REVIEW or budget:200"
# Smallest probability of a suggested label that replaces a label, as in `relabel`.
_REPLACED = 0.9


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Decision rule that chooses the rows to treat as contaminated. Give one of the arguments.

    Args:
        fdr: Largest expected share of right rows among the chosen ones, as in `flags`.
        costs: Costs of mistakes and reviews, as in `flags`.
        budget: Number of rows with the largest responsibilities.

    Raises:
        DataError: Not exactly one argument is given, or it is out of range.

    Example:
        >>> Rule.parse("fdr:0.05")
        Rule(fdr=0.05, costs=None, budget=None)
    """

    fdr: float | None = None
    costs: Costs | None = None
    budget: int | None = None

    def __post_init__(self) -> None:
        if sum(one is not None for one in vars(self).values()) != 1:
            raise DataError("A rule needs exactly one of fdr, costs and budget.")
        if self.fdr is not None and not 0 < self.fdr < 1:
            raise DataError(f"fdr is {self.fdr}; a false discovery rate must lie in (0, 1).")
        if self.budget is not None and self.budget < 0:
            raise DataError(f"budget is {self.budget}; a number of rows must not be negative.")

    @classmethod
    def parse(cls, text: str) -> "Rule":
        """Return the rule that a text describes.

        Args:
            text: "fdr:" and a rate, "costs:" and two or three costs (of a false alarm, of a miss,
                of a review), or "budget:" and a number of rows.

        Raises:
            DataError: The text has another form, or a number is out of range.
        """
        name, _, rest = text.partition(":")
        try:
            numbers = [float(part) for part in rest.split(",")]
        except ValueError:
            numbers = []
        match name, numbers:
            case "fdr", [level]:
                return cls(fdr=level)
            case "costs", [false_alarm, miss]:
                return cls(costs=Costs(false_alarm=false_alarm, miss=miss))
            case "costs", [false_alarm, miss, review]:
                return cls(costs=Costs(false_alarm=false_alarm, miss=miss, review=review))
            case "budget", [count] if math.isfinite(count) and count.is_integer():
                return cls(budget=int(count))
            case _:
                raise DataError(f"The rule is {text!r}. Write {_FORMS}.")

    def chosen(self, responsibility: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return which rows are treated as contaminated, and which a person should look at.

        Args:
            responsibility: Responsibilities, (N,).

        Returns:
            Two boolean arrays, (N,).
        """
        if self.budget is None:
            found = flags(responsibility, fdr=self.fdr, costs=self.costs)
            return found.flagged, found.review
        first = (-responsibility).argsort(kind="stable")[: self.budget]
        flagged = np.zeros(len(responsibility), dtype=bool)
        flagged[first] = True
        return flagged, np.zeros_like(flagged)


def cleaned(
    rows: RunRows, rule: Rule, *, flagged: Literal["drop", "relabel"] = "drop"
) -> pd.DataFrame:
    """Return a table to train another model on, in the order of the data.

    Rows that the rule does not choose keep their label, with the weight 1 - r, where r is the
    responsibility. Chosen rows are left out. With "relabel", a chosen row gets the suggested label
    if that has a probability of at least .9; this probability is then its weight. Rows without a
    label are left out.

    Args:
        rows: Rows of a run.
        rule: Decision rule.
        flagged: What happens to chosen rows: "drop" or "relabel" (labels only).

    Returns:
        Columns: row, label (the new one; not for detection), old_label, responsibility,
        suggested_label and suggested_probability for labels, action ("keep", "relabel", or "review"
        where the costs say that a person should look; such a row is kept), weight, and the columns
        of the data as `RunRows.with_cells` adds them.

    Raises:
        DataError: Labels should be replaced, but the rows have none; or `flagged` has another name.

    Example:
        >>> table = pd.DataFrame({"row": [0, 1], "label": ["a", "a"]})
        >>> table["responsibility"] = [0.97, 0.2]
        >>> table["suggested_label"], table["suggested_probability"] = ["b", "a"], [0.97, 0.8]
        >>> rows = RunRows(task="classification", table=table, classes=("a", "b"))
        >>> cleaned(rows, Rule(fdr=0.1), flagged="relabel")[["label", "old_label", "weight"]]
          label old_label  weight
        0     b         a    0.97
        1     a         a    0.80
    """
    if flagged not in ("drop", "relabel"):
        raise DataError(f"flagged is {flagged!r}. Write 'drop' or 'relabel'.")
    if flagged == "relabel" and "suggested_label" not in rows.table:
        raise DataError("Only labels can be replaced. Leave out relabel: flagged rows are dropped.")
    table = rows.in_order
    if "label" in table:
        table = table[table["label"].map(as_text) != ""].reset_index(drop=True)
    r = table["responsibility"].to_numpy(float)
    wrong, ask = rule.chosen(r)
    action = np.where(ask, "review", "keep").astype(object)
    weight, label = 1 - r, table.get("label")
    if flagged == "relabel":
        suggested, chance = table["suggested_label"], table["suggested_probability"].to_numpy(float)
        other = suggested.map(as_text) != table["label"].map(as_text)
        new = wrong & other.to_numpy(bool) & (chance >= _REPLACED)
        action[new] = "relabel"
        weight = np.where(new, chance, weight)
        label = table["label"].where(~new, suggested)
        wrong = wrong & ~new
    found = table[["row"]].copy()
    if label is not None:
        found["label"], found["old_label"] = label, table["label"]
    for name in ("score", "responsibility", "suggested_label", "suggested_probability"):
        if name in table:
            found[name] = table[name]
    found["action"], found["weight"] = action, weight
    return rows.with_cells(found[~wrong].reset_index(drop=True))
