"""`Findings`: everything that a page shows, from whatever object or folder it came."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr

from nbam_pyro.outputs.contamination_report import FLAGGED
from nbam_pyro.outputs.explanation import Explanation, Level
from nbam_pyro.outputs.share import Share
from nbam_pyro.plots.sources import Matrix

__all__ = ["Findings", "Group", "Kind", "Truth"]

Kind = Literal["labels", "measurements", "scores", "series"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Truth:
    """Rows of which it is known whether they are contaminated.

    Attributes:
        responsibility: Responsibilities of these rows, (M,).
        contaminated: Which of them are contaminated, (M,) booleans.
        how: Sentence that says how this is known.
    """

    responsibility: np.ndarray
    contaminated: np.ndarray
    how: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Group:
    """Groups of rows, such as sources or annotators.

    Attributes:
        name: Name of the grouping, such as a column of the data.
        values: Group of each row, (N,).
    """

    name: str
    values: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Findings:
    """What was found about N rows.

    Attributes:
        kind: Kind of the targets.
        data: Name of the data.
        rows: Table of the rows that have a target, with their positions in the data as index, and
            the columns row (name), responsibility, flagged and verified (booleans). Labels also
            have label, suggested_label and suggested_probability, measurements label and
            prediction, and scores score; a column that is not known is missing.
        share: Contaminated share of these rows.
        rate: Probability that a new row is contaminated.
        verdict: Level of the verdict.
        reasons: Sentences of the verdict.
        explanations: Competing explanations, the one that the result uses first.
        basis: Sentence that says what the numbers rest on; empty if there is nothing to say.
        classes: Names of the classes, (K,); None without classes.
        matrix: Transition matrix p(observed | true) with the names of its classes, or None.
        class_rates: Table with the columns class, rate, low and high, or None.
        tree: Posterior and prior of the rates or of the share, or None.
        about_tree: Sentence about the prior and the posterior; without a tree, why there is none.
        truth: Rows of which the truth is known, or None.
        group: Groups of all rows of the data, or None.
        notes: Sentences about the data.
        run: Run folder, as a person would type it; None for objects in Python.
        command: Command that made the run up to its options, such as ("fit", "data.csv"), or ().
    """

    kind: Kind
    data: str
    rows: pd.DataFrame
    share: Share
    rate: Share
    verdict: Level
    reasons: Sequence[str]
    explanations: Sequence[Explanation] = ()
    basis: str = ""
    classes: Sequence[str] | None = None
    matrix: Matrix | None = None
    class_rates: pd.DataFrame | None = None
    tree: xr.DataTree | None = None
    about_tree: str = ""
    truth: Truth | None = None
    group: Group | None = None
    notes: Sequence[str] = field(default=())
    run: str | None = None
    command: Sequence[str] = ()

    @cached_property
    def responsibility(self) -> np.ndarray:
        """Responsibilities of the rows, (N,)."""
        return self.rows["responsibility"].to_numpy(dtype=float)

    @cached_property
    def flagged(self) -> np.ndarray:
        """Which rows are flagged, (N,) booleans."""
        if "flagged" in self.rows:
            return self.rows["flagged"].to_numpy(dtype=bool)
        return self.responsibility > FLAGGED

    @cached_property
    def suspicious(self) -> pd.DataFrame:
        """Rows that nobody has verified, the most suspicious first."""
        open_ = self.rows
        if "verified" in open_:
            open_ = open_[~open_["verified"].to_numpy(dtype=bool)]
        by = ["responsibility", "score"] if "score" in open_ else ["responsibility"]
        return open_.sort_values(by, ascending=False, kind="stable")
