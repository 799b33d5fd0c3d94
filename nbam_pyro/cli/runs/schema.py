"""Schemas of settings.json, summary.json and reviewed.json in a run folder."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, RootModel, model_validator

from nbam_pyro.errors import FolderError
from nbam_pyro.outputs.explanation import Explanation, Level
from nbam_pyro.storage import (
    Count,
    Finite,
    Label,
    Probability,
    Saved,
    check_files,
    read_json,
)

__all__ = [
    "FLAG_NUMBERS",
    "ReviewedShare",
    "Settings",
    "Summary",
    "damaged_flags",
    "read_summary",
]

FLAG_NUMBERS = ("responsibility", "suggested_probability", "prediction", "score")
"""Columns of flags.csv that hold a number in every row, if the file has them."""


class _Open(Saved):
    """Files to which later versions may add entries; unknown entries are kept."""

    model_config = ConfigDict(extra="allow")


class _Network(Saved):
    network: str
    size: Count | None
    mean: Finite | None
    std: Finite | None
    download: bool
    cache: str | None


class _FitSettings(_Open):
    command: Literal["fit"]
    data: str
    label: str | None
    annotations: str | None = None
    true_label: str | None
    contaminated: str | None
    task: str
    contamination: Finite | tuple[Finite, Finite] | None
    features: _Network | None = None
    epochs: Count | None
    seed: Count


class _OutputsSettings(_Open):
    command: Literal["fit-outputs"]
    data: str
    pred_probs: str | None
    predictions: str | None
    label: str | None
    true_label: str | None
    contaminated: str | None
    task: str
    contamination: Finite | tuple[Finite, Finite] | None
    seed: Count


class _DetectSettings(_Open):
    command: Literal["detect"]
    data: str
    verified: str | None
    backbone: str | None
    contamination: Finite | Literal["auto"]
    features: _Network | None = None
    epochs: Count | None
    seed: Count


class _ScoresSettings(_Open):
    command: Literal["detect-scores"]
    data: str
    verified: str | None
    seed: Count


class _MapsSettings(_Open):
    command: Literal["detect-maps"]
    data: str
    verified: str | None
    contamination: Finite | Literal["auto"]
    features: _Network
    frames: bool
    seed: Count


class _DemoSettings(_Open):
    command: Literal["demo"]
    seed: Count
    rate: Probability


class Settings(
    RootModel[
        Annotated[
            _FitSettings
            | _OutputsSettings
            | _DetectSettings
            | _ScoresSettings
            | _MapsSettings
            | _DemoSettings,
            Field(discriminator="command"),
        ]
    ]
):
    """The content of settings.json: the command and its options."""


class _Verified(Saved):
    clean: Count
    contaminated: Count


class _Direction(Saved):
    true: Label
    observed: Label
    rate: Probability
    low: Probability
    high: Probability
    rows: Finite


class _Found(_Open):
    """Entries that the summaries of labels and of measurements share."""

    data: str
    label: str | None
    rows: Count
    labelled: Count
    contamination: Probability
    contamination_low: Probability
    contamination_high: Probability
    contamination_probability: Probability
    population_rate: Probability
    population_rate_low: Probability
    population_rate_high: Probability
    verdict: Level
    verdict_lines: list[str]
    explanations: list[Explanation]
    evidence: Literal["cross-fitted", "in-sample", "out-of-sample"]
    verified: _Verified | None = None
    flagged: Count
    flagged_wrong: Finite
    sure: Count
    doubtful: Count
    collapse: str | None
    notes: list[str]
    seconds: Finite

    @model_validator(mode="after")
    def _of_the_rows(self) -> "_Found":
        if max(self.labelled, self.flagged, self.sure, self.doubtful) > self.rows:
            raise ValueError("a count is larger than the number of rows")
        return self


class _Labels(_Found):
    task: Literal["classification"]
    classes: Count
    directions: list[_Direction] = Field(default_factory=list)
    annotations: Count | None = None
    annotators: Count | None = None
    wrong_annotations: Probability | None = None
    wrong_annotations_low: Probability | None = None
    wrong_annotations_high: Probability | None = None


class _Measurements(_Found):
    task: Literal["regression"]
    flagged_above: Count
    flagged_error: Finite | None
    clean_error: Finite | None

    @model_validator(mode="after")
    def _of_the_flagged(self) -> "_Measurements":
        if self.flagged_above > self.flagged or (self.flagged_error is None) != (not self.flagged):
            raise ValueError("the entries about flagged rows contradict the number of flagged rows")
        return self


class _Anomalies(_Open):
    data: str
    task: Literal["detection"]
    rows: Count
    features: Count | None
    backbone: str | None
    contamination: Probability
    contamination_low: Probability
    contamination_high: Probability
    population_rate: Probability
    population_rate_low: Probability
    population_rate_high: Probability
    verdict: Level
    verdict_lines: list[str]
    explanations: list[Explanation]
    flagged: Count
    threshold: Finite | None
    notes: list[str]
    seconds: Finite

    @model_validator(mode="after")
    def _of_the_rows(self) -> "_Anomalies":
        if self.flagged > self.rows:
            raise ValueError("the number of flagged rows is larger than the number of rows")
        return self


class Summary(
    RootModel[Annotated[_Labels | _Measurements | _Anomalies, Field(discriminator="task")]]
):
    """The content of summary.json, which `nbam show` prints as text."""


class ReviewedShare(Saved):
    """The content of reviewed.json of `nbam review --answers`."""

    run: str
    answers: str
    task: Literal["classification", "regression", "detection"]
    rows: Count
    contamination: Probability
    contamination_low: Probability
    contamination_high: Probability
    contamination_probability: Probability
    contamination_before: Probability
    drawn: Count
    reviewed: Count
    contaminated: Count
    skipped: Count
    verified_before: Count
    note: str


def read_summary(folder: Path) -> dict[str, Any]:
    """Return the content of summary.json, after a check of all files of the run.

    Args:
        folder: Run folder that a command wrote.

    Raises:
        FolderError: The folder is not a run folder, or one of its files is missing or was changed.
    """
    check_files(folder, ["summary.json", "flags.csv"])
    return read_json(folder / "summary.json", Summary).model_dump(exclude_unset=True)


def damaged_flags(path: Path) -> FolderError:
    """Return the error about a file of flags whose columns are not those that a command wrote.

    Args:
        path: Path of flags.csv.
    """
    return FolderError(
        f"'{path}' was changed or is damaged: a column is missing, or a column of numbers or "
        "booleans has cells of another type. Restore the file or fit again."
    )
