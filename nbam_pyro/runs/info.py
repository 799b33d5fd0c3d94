"""What a run knows besides its fit: what the rows and targets were, before they were numbers."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from nbam_pyro.errors import FolderError
from nbam_pyro.estimators.targets import column, encode_labels, encode_measurements
from nbam_pyro.files import Encoding, encoding_from_json


@dataclass(frozen=True, kw_only=True)
class RunInfo:
    """The data of a run, as their owner knows them.

    Attributes:
        data: what the data are called.
        label: the column or array of targets; None for image folders.
        classes: the labels, sorted; None for measurements.
        encoding: of the features.
    """

    data: str
    label: str | None
    classes: np.ndarray | None
    encoding: Encoding

    def targets(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Encoded targets of the rows that have one, and which have one, (N,).

        Raises:
            DataError: labels are no classes of the run, or measurements are no numbers.
        """
        there, present = column(y)
        if self.classes is None:
            return encode_measurements(there), present
        if self.classes.dtype.kind == "U" and there.dtype.kind in "biu":
            there = there.astype(str)  # texts such as "7" look like numbers where all of them do
        return encode_labels(there, self.classes), present

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "data": self.data,
            "label": self.label,
            "classes": None if self.classes is None else self.classes.tolist(),
            "encoding": self.encoding.to_json(),
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "RunInfo":
        """From what `to_json` gave.

        Raises:
            FolderError: a key is missing.
        """
        try:
            classes = values["classes"]
            return cls(
                data=values["data"],
                label=values["label"],
                classes=None if classes is None else np.array(classes),
                encoding=encoding_from_json(values["encoding"]),
            )
        except KeyError as error:
            raise FolderError(f"run.json has no {error}: restore it or fit again.") from error
