"""Shape and type of the rows of a fit, to recognise data that have another shape or type."""

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from nbam_pyro.errors import DataError

# Size of a row along each axis.
Shape = tuple[Annotated[int, Field(ge=0, le=10_000_000)], ...]


@dataclass(frozen=True)
class RowKind:
    """Shape and type of a row and its target.

    Attributes:
        x_shape: Shape of one row.
        x_floating: Whether rows are floating point numbers; otherwise they are integers.
        y_shape: Shape of one target; () for a single number.
        y_floating: Whether targets are floating point numbers; otherwise they are integers.
    """

    x_shape: Shape
    x_floating: bool
    y_shape: Shape
    y_floating: bool

    @classmethod
    def of(cls, x: Tensor, y: Tensor) -> "RowKind":
        """Return the kind of a batch of rows x, (n, ...), with targets y, (n, *dims)."""
        shapes = tuple(x.shape[1:]), tuple(y.shape[1:])
        return cls(shapes[0], x.is_floating_point(), shapes[1], y.is_floating_point())

    def check(self, x: Tensor, y: Tensor) -> None:
        """Check that rows are of this kind.

        Only the first axis of a row must have the same size. Images may have a different height and
        width, because networks with pooling accept them.

        Args:
            x: Rows, (N, ...).
            y: Targets, (N, *dims).

        Raises:
            DataError: The rows or the targets have another shape or type.
        """
        shape = tuple(x.shape[1:])
        if len(shape) != len(self.x_shape) or shape[:1] != self.x_shape[:1]:
            raise DataError(
                f"Rows have shape {shape}, but those of the fit have shape {self.x_shape}. Pass "
                "the same features."
            )
        if y.ndim != 1 + len(self.y_shape):
            raise DataError(
                f"Targets have shape {tuple(y.shape)}, but those of the fit have "
                f"{len(self.y_shape)} dimensions beside the rows. Pass one target of the same kind "
                "for every row."
            )

    def blank(self, rows: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Return rows and targets of zeros, with which a story can be run.

        Args:
            rows: Number of rows.
            dtype: Precision of the story.
        """
        return (
            torch.zeros(rows, *self.x_shape, dtype=dtype if self.x_floating else torch.long),
            torch.zeros(rows, *self.y_shape, dtype=dtype if self.y_floating else torch.long),
        )
