"""Scaling of features to one range, which removes their units."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from nbam_pyro.checks.spacing import all_equal, check_spacing, middles, robust_widths
from nbam_pyro.errors import DataError

# The quantiles of the training rows that become the ends of the range.
_TAILS = (0.01, 0.99)
_LOWEST = 0.25
MIDDLE = _LOWEST + 0.5
# Values are never wild if they are fewer robust widths away from the median than this.
_WILD = 10.0
# Networks see no larger values, because one wild row would outweigh all others in training.
_FURTHEST = 10.0


@dataclass(frozen=True, eq=False)
class Range:
    """The numbers by which features are shifted and scaled.

    The middle 98% of the training rows lie in [0.25, 1.25] after scaling. Wild values are ignored
    in this range. A value is wild if it is more than ten robust widths from the median, and further
    from all other values than these are from each other. Networks see values of size 10 at most.
    `beyond` returns how far larger values lie outside.

    Rows are not centred, because networks without biases see only the directions of rows around 0.

    Attributes:
        centre: Value of each feature that is subtracted first, (D,). It is 0 of shape (1,) for
            images, which are not scaled. This difference is exact; large offsets do not reduce the
            precision.
        low: Number that is subtracted from each feature after `centre`, in the same shape.
        width: Number by which the result is then divided, in the same shape.
        furthest: Largest absolute value that networks see, a scalar array. Larger values are
            clipped to it. It is infinite if values are not clipped.
    """

    centre: np.ndarray
    low: np.ndarray
    width: np.ndarray
    furthest: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray, names: Sequence[str] | None = None) -> "Range":
        """Return the range of training rows.

        If half of the values of a feature are equal, it is scaled by its whole range without wild
        values. The scale of a constant feature is not changed.

        Args:
            x: Features, (N, D), or images, (N, C, H, W).
            names: Names of the features for error messages. None to use column numbers.

        Raises:
            DataError: The values of a feature are too far apart to be subtracted, or so large that
                rounding removes their differences.

        Example:
            >>> scale = Range.of(np.array([[1.0, 5.0], [3.0, 5.0]]))
            >>> scale(np.array([[2.0, 6.0]])).round(3)
            array([[0.75, 1.25]])
        """
        if x.ndim > 2:
            return cls.none()
        ordered = np.sort(np.asarray(x, dtype=np.float64), axis=0)
        centre = middles(ordered)
        with np.errstate(over="ignore"):
            far = ~np.isfinite(ordered[-1] - ordered[0])
        if far.any():
            at = int(far.argmax())
            name = at if names is None else repr(names[at])
            raise DataError(
                f"Column {name} has values that are further apart than float64 holds. Remove the "
                "largest values, or divide the column by a constant."
            )
        check_spacing(ordered, names)
        equal = all_equal(ordered)
        ordered = ordered - centre
        low, high = _extents(ordered, robust_widths(ordered))
        width = np.where(equal | (high == low), 1.0, high - low)
        return cls(centre, low - _LOWEST * width, width, np.array(_FURTHEST))

    @classmethod
    def none(cls) -> "Range":
        """Return the range that leaves rows unchanged."""
        one = np.ones(1, np.float32)
        return cls(0 * one, 0 * one, one, np.array(np.inf, np.float32))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return scaled rows, (N, D).

        Args:
            x: Rows, (N, D).
        """
        return np.clip(self._moved(x), -self.furthest, self.furthest)

    def beyond(self, x: np.ndarray) -> np.ndarray:
        """Return how far each row exceeds the largest value that networks see, (N,).

        The result is the largest absolute value of the scaled row minus `furthest`, and 0 if no
        value is larger than `furthest`.

        Args:
            x: Rows, (N, D).

        Example:
            >>> scale = Range.of(np.arange(101.0)[:, None])
            >>> scale.beyond(np.array([[50.0], [99999.0]])).round()
            array([   0., 1011.])
        """
        excess = np.abs(self._moved(x)) - self.furthest
        return np.maximum(excess.reshape(len(x), -1).max(1), 0.0)

    def _moved(self, x: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):
            return np.asarray((x - self.centre - self.low) / self.width)


def learned_range(x: np.ndarray, scale: object, names: Sequence[str] | None = None) -> Range:
    """Return the range to which a detector scales features.

    Args:
        x: Training rows, (N, D), or images, (N, C, H, W).
        scale: "range", or None to leave rows unchanged. Images are never scaled.
        names: Names of the features for error messages. None to use column numbers.

    Raises:
        DataError: `scale` is neither "range" nor None, or the values of a feature are so large that
            rounding removes their differences. With "range" the data type is float64. Otherwise it
            is torch's default type, in which networks are trained.
    """
    if scale not in ("range", None):
        raise DataError(f"scale is {scale!r}; give 'range' or None.")
    if scale == "range" and x.ndim == 2:
        return Range.of(x, names)
    kind = torch.empty(0).numpy().dtype.type
    mend = "use scale='range', or centre and scale X before."
    table, named = (x, names) if x.ndim == 2 else (x.reshape(-1, 1), None)
    check_spacing(table, named, kind=kind, mend=mend)
    return Range.none()


def _extents(ordered: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Return the ends of features without wild values, (2, D), from sorted columns (N, D)."""
    last = _last(ordered, width)
    first = len(ordered) - 1 - _last(-ordered[::-1], width)
    places = [first + share * (last - first) for share in _TAILS]
    quarter = len(ordered) // 4
    flat = ordered[quarter] == ordered[-1 - quarter]
    # For a few values among zeros, interpolation would give a width of almost 0.
    inward = [np.where(flat, f(at), at) for f, at in zip((np.ceil, np.floor), places, strict=True)]
    tails = np.array([_at(ordered, at) for at in inward])
    whole = np.array([_at(ordered, at) for at in (first, last)])
    return np.where(tails[1] > tails[0], tails, whole)


def _last(ordered: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Return the row of the highest value that is not wild, (D,), in sorted columns (N, D).

    The median of each column is 0.
    """
    low, high = ordered / _WILD >= -width, ordered / _WILD <= width
    lowest = np.where(low, ordered, np.inf).min(0)
    gap = np.diff(ordered, axis=0) > ordered[:-1] - lowest
    wild = gap & ~high[1:] & low[:-1]
    return np.where(wild.any(0), wild.argmax(0), len(ordered) - 1)


def _at(ordered: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Return values of columns (N, D) at places between rows, one place per column, (D,)."""
    below = np.minimum(place.astype(int), len(ordered) - 1)
    above = np.minimum(below + 1, len(ordered) - 1)
    one, other = (np.take_along_axis(ordered, at[None], 0)[0] for at in (below, above))
    return one + (place - below) * (other - one)
