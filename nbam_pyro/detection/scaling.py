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
# Values less than so many robust widths away from the median are never wild.
_WILD = 10.0
# Networks see no larger values: one wild row would outweigh all others while they are trained.
_FURTHEST = 10.0


@dataclass(frozen=True, eq=False)
class Range:
    """What is subtracted from every feature, and what it is divided by.

    The middle 98% of the training rows come to lie in [0.25, 1.25], without wild values: those more
    than ten robust widths from the median and further from all others than these are from each
    other. Networks see values up to 10 in size, and `beyond` tells rows that have larger ones.
    Rows are not centred: where networks have no biases, rows around 0 differ in nothing but their
    direction.

    Attributes:
        centre: A value of the feature, (D,), or (1,) for images, which are taken as they are.
            Differences from it are exact, so that large offsets cost no digits.
        low: What is subtracted after it, of the same shape.
        width: What is divided by, of the same shape.
        furthest: Largest absolute value that networks see, ().
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
            DataError: A feature's values are too far apart to be subtracted, or too large for what
                distinguishes them.

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
        check_spacing(ordered, names)
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
        return np.clip(self._moved(x), -self.furthest, self.furthest)

    def beyond(self, x: np.ndarray) -> np.ndarray:
        """How far the furthest value of each row lies outside of what networks see, (N,).

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
        return Range.of(x, names)
    kind = torch.empty(0).numpy().dtype.type
    mend = "use scale='range', or centre and scale X before."
    table, named = (x, names) if x.ndim == 2 else (x.reshape(-1, 1), None)
    check_spacing(table, named, kind=kind, mend=mend)
    return Range.none()


def _extents(ordered: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Lower and upper ends of features without wild values, (2, D), from rising columns (N, D)."""
    last = _last(ordered, width)
    first = len(ordered) - 1 - _last(-ordered[::-1], width)
    places = [first + share * (last - first) for share in _TAILS]
    quarter = len(ordered) // 4
    flat = ordered[quarter] == ordered[-1 - quarter]
    # Of a few values among zeros, a share of their distance would be a width of almost 0.
    inward = [np.where(flat, f(at), at) for f, at in zip((np.ceil, np.floor), places, strict=True)]
    tails = np.array([_at(ordered, at) for at in inward])
    whole = np.array([_at(ordered, at) for at in (first, last)])
    return np.where(tails[1] > tails[0], tails, whole)


def _last(ordered: np.ndarray, width: np.ndarray) -> np.ndarray:
    """The row of the highest value that is not wild, (D,), of rising columns (N, D) around 0."""
    low, high = ordered / _WILD >= -width, ordered / _WILD <= width
    lowest = np.where(low, ordered, np.inf).min(0)
    gap = np.diff(ordered, axis=0) > ordered[:-1] - lowest
    wild = gap & ~high[1:] & low[:-1]
    return np.where(wild.any(0), wild.argmax(0), len(ordered) - 1)


def _at(ordered: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Values of columns (N, D) at places between rows, one for each column, (D,)."""
    below = np.minimum(place.astype(int), len(ordered) - 1)
    above = np.minimum(below + 1, len(ordered) - 1)
    one, other = (np.take_along_axis(ordered, at[None], 0)[0] for at in (below, above))
    return one + (place - below) * (other - one)
