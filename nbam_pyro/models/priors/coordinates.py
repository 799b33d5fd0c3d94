"""Coordinates of rows, such as time or a place, in the last columns or channels of x."""

from torch import Tensor

from nbam_pyro.errors import DataError

__all__ = ["check_coordinates", "split_coordinates"]


def split_coordinates(x: Tensor, coordinates: int) -> tuple[Tensor, Tensor]:
    """Return the rows without their coordinates, and the coordinates, (N, d).

    Args:
        x: Rows, (N, D + d), or (N, C + d, ...), whose last columns or channels hold the
            coordinates. A channel with a coordinate has the same value everywhere.
        coordinates: Number d of coordinates.
    """
    check_coordinates(x, coordinates)
    own = x[:, -coordinates:]
    return x[:, :-coordinates], own.flatten(2)[:, :, 0] if x.ndim > 2 else own


def check_coordinates(x: Tensor, coordinates: int) -> None:
    """Raise a `DataError` where x has no other columns or channels than coordinates.

    Args:
        x: Rows, as in `split_coordinates`.
        coordinates: Number d of coordinates.
    """
    if x.ndim < 2 or x.shape[1] <= coordinates:
        raise DataError(
            f"x has shape {tuple(x.shape)}; the story needs features and, in the last "
            f"{coordinates} columns or channels, the coordinates of each row: append them with "
            "torch.cat([features, coordinates], 1)."
        )
