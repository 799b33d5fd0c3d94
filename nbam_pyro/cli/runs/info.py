"""What a run knows besides its fit: what the rows and targets were, before they were numbers."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from nbam_pyro.cli.files import Encoding, Source
from nbam_pyro.cli.files.labels import Spelling
from nbam_pyro.cli.runs.schema import FittedInfo
from nbam_pyro.estimators.targets import (
    column,
    encode_labels,
    encode_measurements,
    in_words,
)
from nbam_pyro.estimators.verified import verified_rows
from nbam_pyro.verified import Verified


@dataclass(frozen=True, kw_only=True)
class RunInfo:
    """The data of a run, as their owner knows them.

    Attributes:
        data: what the data are called.
        label: the column or array of targets; None for image folders.
        classes: the labels, sorted; None for measurements.
        encoding: of the features.
        true_label: the column or array of verified true labels, if there is one.
        contaminated: the column or array that says what is verified as right or wrong, if any.
    """

    data: str
    label: str | None
    classes: np.ndarray | None
    encoding: Encoding
    true_label: str | None = None
    contaminated: str | None = None

    @property
    def beside(self) -> list[str]:
        """The columns or arrays that are neither features nor labels."""
        return [name for name in (self.true_label, self.contaminated) if name is not None]

    @property
    def spelling(self) -> Spelling:
        """How labels that are written as texts are taken: as they were in training."""
        if self.classes is None:
            return "numbers"
        return "texts" if self.classes.dtype.kind == "U" else "auto"

    def targets(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Encoded targets of the rows that have one, and which have one, (N,).

        Raises:
            DataError: labels are no classes of the run, or measurements are no numbers.
        """
        there, present = column(y)
        return self._encoded(there), present

    def verified(self, source: Source) -> Verified | None:
        """What the columns of a source say is verified; None if it has none of them.

        Raises:
            DataError: a value is no class or no switch, or something contradicts something else.
        """
        targets, present = self.targets(source.y)
        true_label, contaminated = (
            None if name is None else source.beside.get(name)
            for name in (self.true_label, self.contaminated)
        )
        return verified_rows(
            targets,
            present,
            true_label=true_label,
            contaminated=contaminated,
            encode=self._encoded,
        )

    def _encoded(self, there: np.ndarray) -> np.ndarray:
        if self.classes is None:
            return encode_measurements(there)
        if self.classes.dtype.kind == "U" and there.dtype.kind in "biuf":
            there = in_words(there)
        return encode_labels(there, self.classes)

    def to_json(self) -> dict[str, Any]:
        """As JSON of the schema `FittedInfo`."""
        return {
            "data": self.data,
            "label": self.label,
            "classes": None if self.classes is None else self.classes.tolist(),
            "encoding": asdict(self.encoding),
            "true_label": self.true_label,
            "contaminated": self.contaminated,
        }

    @classmethod
    def from_saved(cls, saved: FittedInfo) -> "RunInfo":
        """From what was read of `to_json`.

        Args:
            saved: Content of run.json.
        """
        return cls(
            data=saved.data,
            label=saved.label,
            classes=None if saved.classes is None else np.array(saved.classes),
            encoding=saved.encoding,
            true_label=saved.true_label,
            contaminated=saved.contaminated,
        )
