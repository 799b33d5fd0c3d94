"""Schemas of run.json in a run folder: the data of the run."""

from typing import Annotated, Any

from pydantic import Field, model_validator

from nbam_pyro.cli.files import Encoding
from nbam_pyro.storage import Finite, Saved

__all__ = ["DetectedInfo", "FittedInfo"]

_Whole = Annotated[int, Field(ge=-(2**63), lt=2**63)]


class FittedInfo(Saved):
    """The content of run.json of `nbam fit`."""

    data: str
    label: str | None
    classes: list[str] | list[bool] | list[_Whole] | list[Finite] | None
    encoding: Encoding
    true_label: str | None
    contaminated: str | None
    annotated: bool = False

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
