"""A column of numbers: kept as it is, with missing cells filled by the median."""

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
        name: The name of the column.
        median: The median of the training cells that are not missing.
    """

    name: str
    median: float
    kind: Literal["numbers"] = field(default="numbers", repr=False)

    def __post_init__(self) -> None:
        if not np.isfinite(self.median):
            raise problem(f"The median of column {self.name!r} is not a number; fit again.")

    @classmethod
    def of(cls, column: pd.Series, *, name: str) -> "NumberColumn":
        """Learn the median of a column that has cells.

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
        """The numbers of a column, (N,) float64, missing ones as NaN.

        Raises:
            DataError: The cells are not numbers, or one is infinite.
        """
        if cell_kind(column, name=self.name) == "texts":
            present = column[column.notna()].tolist()
            first = next((cell for cell in present if isinstance(cell, str)), present[0])
            raise problem(
                f"Column {self.name!r} held numbers in training but now holds texts such as "
                f"{first!r}; turn them into numbers or leave the cells empty."
            )
        return _finite(column, name=self.name)

    def encode(self, column: pd.Series) -> Encoded:
        """The numbers, (N, 1), with missing cells filled.

        Raises:
            DataError: The cells are not numbers, or one is infinite.
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
            return None  # one look instead of two copies, for tables of many columns
        return rounded(column[present], values[present])


def _finite(column: pd.Series, *, name: str) -> np.ndarray:
    values = numbers(column)
    infinite = np.flatnonzero(np.isinf(values))
    if len(infinite):
        raise problem(
            f"Column {name!r} is infinite in {counted(len(infinite), 'row')}, first in row "
            f"{infinite[0]}; give a number or leave the cell empty."
        )
    return values
