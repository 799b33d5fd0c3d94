"""Schemas of the JSON files in a run folder, except for those of the model."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, RootModel, model_validator

from nbam_pyro.cli.files import Encoding
from nbam_pyro.outputs.verdict import Explanation, Level
from nbam_pyro.storage import Count, Finite, Label, Probability, Saved

__all__ = ["DetectedInfo", "FittedInfo", "ReviewedShare", "Settings", "Summary"]

_Whole = Annotated[int, Field(ge=-(2**63), lt=2**63)]


class FittedInfo(Saved):
    """The content of run.json of `nbam fit`."""

    data: str
    label: str | None
    classes: list[str] | list[bool] | list[_Whole] | list[Finite] | None
    encoding: Encoding
    true_label: str | None
    contaminated: str | None

    @model_validator(mode="after")
    def _sorted(self) -> "FittedInfo":
        classes: list[Any] | None = self.classes
        if classes is not None and (len(classes) < 2 or classes != sorted(set(classes))):
            raise ValueError("there must be at least two classes, sorted and all different")
        return self


class DetectedInfo(Saved):
    """The content of run.json of `nbam detect`.

    New rows may have the columns in `ignored`, such as a nuisance. They are not features.
    """

    verified: str | None
    encoding: Encoding
    ignored: tuple[str, ...] = ()


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
