"""The encoding of a column of numbers: the numbers, with the median in missing cells."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd

from nbam_pyro.cli.files.cells import cell_kind, numbers
from nbam_pyro.cli.files.messages import counted, problem
from nbam_pyro.cli.files.precision import rounded
from nbam_pyro.cli.files.source import Encoded

__all__ = ["NumberColumn"]


@dataclass(frozen=True)
class NumberColumn:
    """How a column of integers, floats or booleans is encoded.

    Attributes:
        name: Name of the column.
        median: Median of the training cells that are not missing.
    """

    name: str
    median: float
    kind: Literal["numbers"] = field(default="numbers", repr=False)

    def __post_init__(self) -> None:
        if not np.isfinite(self.median):
            raise problem(f"The median of column {self.name!r} is not a number. Fit again.")

    @classmethod
    def of(cls, column: pd.Series, *, name: str) -> "NumberColumn":
        """Learn the median of a column.

        Args:
            column: Training cells, not all of them missing.
            name: Name of the column.

        Raises:
            DataError: A cell is infinite.
        """
        values = _finite(column, name=name)
        return cls(name, float(np.median(values[~np.isnan(values)])))

    @property
    def feature_names(self) -> list[str]:
        """The name of the column."""
        return [self.name]

    def numbers(self, column: pd.Series) -> np.ndarray:
        """Return the numbers of a column, (N,) float64, with NaN for missing cells.

        Args:
            column: Cells of the column, of training rows or of new rows.

        Raises:
            DataError: A cell is not a number, or is infinite.
        """
        if cell_kind(column, name=self.name) == "texts":
            present = column[column.notna()].tolist()
            first = next((cell for cell in present if isinstance(cell, str)), present[0])
            raise problem(
                f"Column {self.name!r} held numbers in training but now holds texts such as "
                f"{first!r}. Convert them to numbers or empty these cells."
            )
        return _finite(column, name=self.name)

    def encode(self, column: pd.Series) -> Encoded:
        """Return the numbers of a column, (N, 1) float64, with the median in missing cells.

        Args:
            column: Cells of the column, of training rows or of new rows.

        Raises:
            DataError: A cell is not a number, or is infinite.
        """
        values = self.numbers(column)
        missing = np.isnan(values)
        lost = self._lost(column, values, ~missing)
        notes = [] if lost is None else [f"column {self.name!r}: {lost}"]
        values[missing] = self.median
        if missing.any():
            cells = counted(int(missing.sum()), "missing cell", were=("was", "were"))
            notes.append(f"column {self.name!r}: {cells} filled with the median {self.median:g}")
        return Encoded(values[:, None], notes)

    def _lost(self, column: pd.Series, values: np.ndarray, present: np.ndarray) -> str | None:
        if isinstance(column.dtype, np.dtype) and column.dtype.kind in "bf":
            return None  # saves two copies in tables of many columns
        return rounded(column[present], values[present])


def _finite(column: pd.Series, *, name: str) -> np.ndarray:
    values = numbers(column)
    infinite = np.flatnonzero(np.isinf(values))
    if len(infinite):
        raise problem(
            f"Column {name!r} is infinite in {counted(len(infinite), 'row')}, the first is row "
            f"{infinite[0]}. Give a number or leave the cell empty."
        )
    return values
