"""Description of the data of a run: names of file and columns, classes, and encoding."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from nbam_pyro.checks.column import Column
from nbam_pyro.cli.files import Encoding, Source
from nbam_pyro.cli.files.labels import Spelling
from nbam_pyro.cli.runs.info_schema import FittedInfo
from nbam_pyro.cli.runs.targets import whole
from nbam_pyro.estimators.targets import Targets, encode_labels, encode_measurements, in_words
from nbam_pyro.estimators.verified import verified_rows


@dataclass(frozen=True, kw_only=True)
class RunInfo:
    """Description of the data of a run, which is saved as run.json.

    Attributes:
        data: Name of the data file or folder.
        label: Name of the column or array of targets; None for image folders and annotations.
        classes: Class labels of the training data, sorted, (K,); None for measurements.
        encoding: Encoding of the features.
        true_label: Name of the column or array of verified true labels; None if there is none.
        contaminated: Name of the column or array that says which targets are verified as wrong or
            right; None if there is none.
        annotated: Whether labels came from a file of annotations, so that the data have none.
    """

    data: str
    label: str | None
    classes: np.ndarray | None
    encoding: Encoding
    true_label: str | None = None
    contaminated: str | None = None
    annotated: bool = False

    @property
    def beside(self) -> list[str]:
        """Names of the columns or arrays that are neither features nor targets."""
        return [name for name in (self.true_label, self.contaminated) if name is not None]

    @property
    def spelling(self) -> Spelling:
        """How targets that are stored as texts are read. It is the same as in training."""
        if self.classes is None:
            return "numbers"
        return "texts" if self.classes.dtype.kind == "U" else "auto"

    def targets(self, source: Source) -> Targets:
        """Decode the targets of a file, and the columns with what is verified about them.

        One column has verified true labels, and one shows which targets are verified as wrong or
        right.

        Args:
            source: Rows of the same kind as the training rows. Both columns of verified values may
                be missing.

        Raises:
            DataError: A label is not a class of the run, a measurement is not a number, a cell of
                the column of wrong and right targets is not valid, or two cells contradict each
                other.
        """
        column = Column.of(source.y)
        if self.classes is not None and self.classes.dtype.kind in "iu":
            column = whole(column)
        codes = self._encoded(column.values)
        true_label, contaminated = (
            # New rows have no annotations, so that their true labels verify nothing.
            None if name is None or self.annotated else source.beside.get(name)
            for name in (self.true_label, self.contaminated)
        )
        verified = verified_rows(
            codes,
            column.present,
            true_label=true_label,
            contaminated=contaminated,
            encode=self._encoded,
        )
        return Targets(column, codes, verified)

    def _encoded(self, values: np.ndarray) -> np.ndarray:
        if self.classes is None:
            return encode_measurements(values)
        if self.classes.dtype.kind == "U" and values.dtype.kind in "biuf":
            values = in_words(values)
        return encode_labels(values, self.classes)

    def to_json(self) -> dict[str, Any]:
        """The content of run.json, which the schema `FittedInfo` describes."""
        classes = None if self.classes is None else self.classes.tolist()
        return {**vars(self), "classes": classes, "encoding": asdict(self.encoding)}

    @classmethod
    def from_saved(cls, saved: FittedInfo) -> "RunInfo":
        """Return the description that run.json contains.

        Args:
            saved: Content of run.json.
        """
        classes = None if saved.classes is None else np.array(saved.classes)
        return cls(**{**vars(saved), "classes": classes})
