"""What rows look like, by which data of another kind are told apart."""

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from nbam_pyro.errors import DataError

# Sizes of a row along its axes.
Shape = tuple[Annotated[int, Field(ge=0, le=10_000_000)], ...]


@dataclass(frozen=True)
class RowKind:
    """Shape and type of a row and its target, by which data of another kind are told apart."""

    x_shape: Shape
    x_floating: bool
    y_shape: Shape
    y_floating: bool

    @classmethod
    def of(cls, x: Tensor, y: Tensor) -> "RowKind":
        """The kind of a batch of rows."""
        shapes = tuple(x.shape[1:]), tuple(y.shape[1:])
        return cls(shapes[0], x.is_floating_point(), shapes[1], y.is_floating_point())

    def check(self, x: Tensor, y: Tensor) -> None:
        """Raise a `DataError` where rows x or targets y cannot be of this kind.

        Heights and widths of images may differ: networks that pool do not mind.
        """
        shape = tuple(x.shape[1:])
        if len(shape) != len(self.x_shape) or shape[:1] != self.x_shape[:1]:
            raise DataError(
                f"Rows have shape {shape}, the fit has seen {self.x_shape}: pass the same features."
            )
        if y.ndim != 1 + len(self.y_shape):
            raise DataError(
                f"Targets have shape {tuple(y.shape)}, those of the fit (rows, *{self.y_shape})."
            )

    def blank(self, rows: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Rows and targets of zeros, enough to run a story once, in its precision."""
        return (
            torch.zeros(rows, *self.x_shape, dtype=dtype if self.x_floating else torch.long),
            torch.zeros(rows, *self.y_shape, dtype=dtype if self.y_floating else torch.long),
        )
