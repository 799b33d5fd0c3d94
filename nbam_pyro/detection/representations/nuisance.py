"""The nuisance of rows in the form that weights, erasure, critic and probe need."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from nbam_pyro.checks.arguments import as_numbers
from nbam_pyro.checks.column import Column
from nbam_pyro.checks.containers import unwrapped
from nbam_pyro.checks.numbers import check_finite
from nbam_pyro.errors import DataError
from nbam_pyro.models.splines import Splines

__all__ = ["Classes", "Nuisance"]

# Whole numbers with at most this many different values are names, such as codes of colours.
_NAMES = 20
# There may be at most this number of names per row.
_SHARE = 0.1
# With more columns than this, curves would need more coefficients than rows can tell.
_CURVED = 20


@dataclass(frozen=True, eq=False)
class Classes:
    """The classes of rows, as integer codes.

    Attributes:
        names: Names of the K classes, sorted, (K,).
        codes: Position of the class of each row in `names`, (N,).
    """

    names: np.ndarray
    codes: np.ndarray

    @classmethod
    def of(cls, y: Any) -> "Classes":
        """Return the classes of rows.

        Args:
            y: Class of each row, (N,), as numbers or texts.

        Raises:
            DataError: A class is missing, or there are fewer than two classes.

        Example:
            >>> Classes.of(["b", "a", "b"]).codes
            array([1, 0, 1])
        """
        column = Column.of(y)
        if not column.present.all():
            at = int((~column.present).argmax())
            raise DataError(f"The class of row {at} is missing. Leave out rows without a class.")
        names, codes = np.unique(column.values, return_inverse=True)
        if len(names) < 2:
            raise DataError(
                f"y has {len(names)} class. A nuisance can be told apart from the classes only if "
                "there are two or more classes of normal rows."
            )
        return cls(names, codes)

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def shares(self) -> np.ndarray:
        """Share of the rows in each class, (K,)."""
        return np.bincount(self.codes, minlength=len(self.names)) / len(self)


@dataclass(frozen=True, eq=False)
class Nuisance:
    """The nuisance of rows: something that comes with the class but is not part of it.

    Texts, booleans, and whole numbers with at most 20 different values are discrete. All other
    numbers are continuous.

    Attributes:
        names: Values of a discrete nuisance, sorted, (V,); None if it is continuous.
        codes: Position of the value of each row in `names`, (N,); None if it is continuous.
        values: Numbers of a continuous nuisance, (N, D). For a discrete nuisance, one column for
            each value, which is 1 in the rows with this value.
    """

    names: np.ndarray | None
    codes: np.ndarray | None
    values: np.ndarray

    @classmethod
    def of(cls, nuisance: Any, rows: int) -> "Nuisance":
        """Return the nuisance of rows.

        Args:
            nuisance: Nuisance of each row, (N,) of any type, or (N, D) or (N, ...) numbers, such as
                pictures of the background.
            rows: Number of rows N.

        Raises:
            DataError: The number of rows is not N, a value is missing or infinite, or all values
                are equal.

        Example:
            >>> Nuisance.of(["red", "green", "red"], 3).codes
            array([1, 0, 1])
            >>> Nuisance.of([0.5, 1.5, 2.5], 3).values.shape
            (3, 1)
        """
        if isinstance(nuisance, Nuisance):
            return nuisance
        given = unwrapped(nuisance)
        if np.shape(given)[:1] != (rows,):
            raise DataError(
                f"The nuisance has shape {np.shape(given)}, but there are {rows} rows. Give one "
                "value for each row."
            )
        names = _names(given) if np.ndim(given) == 1 else None
        if names is not None:
            found, codes = np.unique(names, return_inverse=True)
            if len(found) > max(_NAMES, _SHARE * rows):
                raise DataError(
                    f"The nuisance has {len(found)} different values in {rows} rows, too many to "
                    "compare classes at each value. Give numbers, or join values that are alike."
                )
            made = cls(found, codes, np.eye(len(found))[codes])
        else:
            values = as_numbers(given, "nuisance").astype(float).reshape(rows, -1)
            check_finite(values, "nuisance")
            made = cls(None, None, values)
        if not (made.values != made.values[0]).any():
            raise DataError(
                "The nuisance has the same value in all rows, so it cannot matter. Leave it out."
            )
        return made

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, rows: np.ndarray) -> "Nuisance":
        codes = None if self.codes is None else self.codes[rows]
        return Nuisance(self.names, codes, self.values[rows])

    @property
    def basis(self) -> np.ndarray:
        """Smooth functions of the nuisance for regressions, (N, B), standardised.

        These are the columns of a discrete nuisance without the first one, and columns with
        natural cubic splines for a continuous nuisance. More than 20 columns have no splines.
        """
        columns = self.values[:, 1:] if self.codes is not None else self.values
        varying = columns[:, columns.std(0) > 0]
        if self.codes is None and varying.shape[1] <= _CURVED:
            unit = (varying - varying.mean(0)) / varying.std(0)
            varying = Splines.of(torch.as_tensor(unit))(torch.as_tensor(unit)).numpy()
            varying = varying[:, varying.std(0) > 0]
        return np.asarray((varying - varying.mean(0)) / varying.std(0))


def _names(given: Any) -> np.ndarray | None:
    """Return the values of a discrete nuisance, or None if it is continuous."""
    column = Column.of(given)
    if not column.present.all():
        at = int((~column.present).argmax())
        raise DataError(f"The nuisance of row {at} is missing. Leave out rows without a nuisance.")
    kind = column.values.dtype.kind
    if kind in "iu" and len(pd.unique(column.values)) > _NAMES:
        return None
    return None if kind == "f" else column.values
