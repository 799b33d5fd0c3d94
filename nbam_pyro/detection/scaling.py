"""Features brought to one range, whatever their units."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from nbam_pyro.errors import DataError
from nbam_pyro.spacing import all_equal, check_spacing, middles, robust_widths

# Shares of the training rows below and above what is brought to the range.
_TAILS = (0.01, 0.99)
_LOWEST = 0.25
MIDDLE = _LOWEST + 0.5
# Values so many robust widths away from the median do not decide where the others are.
_WILD = 10.0
# Energies of larger numbers would overflow.
_FURTHEST = 1e4


@dataclass(frozen=True, eq=False)
class Range:
    """What is subtracted from every feature, and what it is divided by.

    The middle 98% of the training rows come to lie in [0.25, 1.25]. Wild values, more than ten
    robust widths from the median, do not decide where the others are, and what is further away
    than 10,000 widths counts as so far away. Rows are not centred: where networks have no biases,
    rows around 0 differ in nothing but their direction.

    Attributes:
        centre: A value of the feature, (D,), or (1,) for images, which are taken as they are.
            Differences from it are exact, so that large offsets cost no digits.
        low: What is subtracted after it, of the same shape.
        width: What is divided by, of the same shape.
        furthest: Largest absolute value that comes out, ().
    """

    centre: np.ndarray
    low: np.ndarray
    width: np.ndarray
    furthest: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray, names: Sequence[str] | None = None) -> "Range":
        """The range of training rows.

        A feature of which half the values are equal is scaled by its whole range, without wild
        values. A constant feature keeps its unit.

        Args:
            x: Features, (N, D), or images, (N, C, H, W).
            names: Names of the features, for messages; None for their numbers.

        Raises:
            DataError: A feature's values are too far apart to be subtracted.

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
            raise DataError(f"Column {name} has values that are further apart than float64 holds.")
        equal = all_equal(ordered)
        ordered = ordered - centre
        low, high = _extents(ordered, robust_widths(ordered))
        width = np.where(equal | (high == low), 1.0, high - low)
        return cls(centre, low - _LOWEST * width, width, np.array(_FURTHEST))

    @classmethod
    def none(cls) -> "Range":
        """The range that leaves rows as they are."""
        one = np.ones(1, np.float32)
        return cls(0 * one, 0 * one, one, np.array(np.inf, np.float32))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Rows in that range, (N, D)."""
        with np.errstate(over="ignore"):
            moved = (x - self.centre - self.low) / self.width
        return np.clip(moved, -self.furthest, self.furthest)


def learned_range(x: np.ndarray, scale: object, names: Sequence[str] | None = None) -> Range:
    """What a detector does with features before it sees them.

    Args:
        x: Training rows, (N, D), or images, (N, C, H, W).
        scale: "range", or None for rows as they are; images always are.
        names: Names of the features, for messages; None for their numbers.

    Raises:
        DataError: `scale` is neither, or the features' values are too large for what
            distinguishes them: in float64, or, where rows are taken as they are, in torch's default
            type, in which networks are trained.
    """
    if scale not in ("range", None):
        raise DataError(f"scale is {scale!r}; give 'range', or None.")
    if scale == "range" and x.ndim == 2:
        check_spacing(x, names)
        return Range.of(x, names)
    kind = torch.empty(0).numpy().dtype.type
    mend = "use scale='range', or centre and scale X before."
    table, named = (x, names) if x.ndim == 2 else (x.reshape(-1, 1), None)
    check_spacing(table, named, kind=kind, mend=mend)
    return Range.none()


def _extents(ordered: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Lower and upper ends of features without wild values, (2, D), from rising columns (N, D)."""
    start = (ordered / _WILD < -width).sum(0)
    last = (ordered / _WILD <= width).sum(0) - 1
    tails = [_at(ordered, start + share * (last - start)) for share in _TAILS]
    quarter = len(ordered) // 4
    spread = ordered[quarter] < ordered[-1 - quarter]
    return np.where(spread, tails, [_at(ordered, start), _at(ordered, last)])


def _at(ordered: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Values of columns (N, D) at places between rows, one for each column, (D,)."""
    below = np.minimum(place.astype(int), len(ordered) - 1)
    above = np.minimum(below + 1, len(ordered) - 1)
    one, other = (np.take_along_axis(ordered, at[None], 0)[0] for at in (below, above))
    return one + (place - below) * (other - one)
