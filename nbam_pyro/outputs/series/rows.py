"""Rows of series in their order, with the log densities of both states."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from nbam_pyro.checks.containers import unwrapped
from nbam_pyro.errors import DataError
from nbam_pyro.outputs.switch_codes import switch_codes

__all__ = ["SeriesRows", "column_of_densities", "row_index"]

# A step counts as a whole number of usual steps up to this error.
_ROUNDING = 1e-6
# End of a time of day with a time zone.
_ZONE = r"\d:\d.*(?:Z|[+-]\d\d(?::?\d\d)?)$"


@dataclass(frozen=True, kw_only=True)
class SeriesRows:
    """Rows sorted by series and by order.

    Attributes:
        place: Place of each sorted row among the given rows, (N,).
        emissions: Log densities of both states, (N, 2), or (N, S, 2) for S draws of the parameters
            of the likelihoods: zeros where the row is missing, -inf where a verified switch
            excludes a state.
        first: True where a series starts, (N,).
        steps: Time since the previous row of the series, in usual steps, (N,); 1 where a series
            starts.
        unit: Usual step (median), in the unit of the order; 1 without an order.
        codes: Verified switches, (N,): 1, 0 or -1.
    """

    place: np.ndarray
    emissions: np.ndarray
    first: np.ndarray
    steps: np.ndarray
    unit: float
    codes: np.ndarray

    @property
    def whole(self) -> bool:
        """Whether all steps are whole numbers of usual steps."""
        return bool((self.steps == self.steps.round()).all())

    @classmethod
    def of(
        cls, clean: np.ndarray, contaminated: np.ndarray, *, series: Any, order: Any, verified: Any
    ) -> "SeriesRows":
        """Check and sort rows.

        Args:
            clean: Log densities of clean targets, (N,); NaN where the target is missing.
            contaminated: Log densities of contaminated targets, (N,).
            series: Name of the series of each row, (N,); None for a single series.
            order: Numbers or times, (N,); None for the order of the rows.
            verified: Codes of verified rows, (N,); None if nothing is verified.

        Raises:
            DataError: Lengths differ, an order or a name is missing, or two rows of a series have
                the same order.
        """
        count = len(clean)
        codes = switch_codes(verified, count).numpy()
        groups = _groups(series, count)
        times, ranked = _times(order, count)
        place = np.lexsort((np.arange(count), times, groups))
        first = np.r_[True, np.diff(groups[place]) != 0]
        steps = np.r_[1.0, np.diff(times[place])]
        tied = np.flatnonzero(~first & (steps <= 0))
        if len(tied):
            raise DataError(
                f"Rows {place[tied[0] - 1]} and {place[tied[0]]} belong to the same series and "
                "have the same order. Give each row of a series another order, or name the series "
                "with series=."
            )
        unit = 1.0 if ranked or first.all() else float(np.median(steps[~first]))
        steps = np.where(first, 1.0, steps / unit)
        rounded = steps.round()
        steps = np.where((rounded > 0) & (abs(steps - rounded) < _ROUNDING), rounded, steps)
        codes = codes[place]
        emissions = _emissions(clean[place], contaminated[place], codes)
        _check_possible(emissions, place)
        return cls(
            place=place, emissions=emissions, first=first, steps=steps, unit=unit, codes=codes
        )

    def with_densities(self, clean: np.ndarray, contaminated: np.ndarray) -> "SeriesRows":
        """Return the same rows with other log densities, with the same rows verified.

        Args:
            clean: Log densities of clean targets, sorted, (N, S).
            contaminated: Log densities of contaminated targets, sorted, (N, S).
        """
        return replace(self, emissions=_emissions(clean, contaminated, self.codes))

    def in_given_order(self, values: np.ndarray) -> np.ndarray:
        """Return values of sorted rows in the order in which the rows were given.

        Args:
            values: One value per sorted row, (..., N).
        """
        found = np.empty_like(values)
        found[..., self.place] = values
        return found


def column_of_densities(values: Any, name: str) -> np.ndarray:
    """Return log densities as floats, (N,), with NaN where a row is missing.

    Args:
        values: Numbers in an array, a list, a tensor or a column; NaN or None where missing.
        name: Name of the argument, which the error message shows.

    Raises:
        DataError: The values are not one column of numbers, there is none, or one is +inf.
    """
    plain = unwrapped(values)
    try:
        found = np.asarray(plain, dtype=float)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name} contains a value that is not a number: {error}.") from error
    if found.ndim != 1 or not len(found):
        raise DataError(
            f"{name} has shape {found.shape}; expected one log density per row, and at least one."
        )
    if (found == np.inf).any():
        raise DataError(
            f"{name} is infinite in row {int((found == np.inf).argmax())}. Give finite log "
            "densities, -inf where the state is impossible, and NaN where the target is missing."
        )
    return found


def row_index(values: Any) -> pd.Index:
    """Return the index of a column, or numbers of rows.

    Args:
        values: One value per row.
    """
    plain = unwrapped(values)
    return plain.index if isinstance(plain, pd.Series) else pd.RangeIndex(len(plain))


def _emissions(clean: np.ndarray, contaminated: np.ndarray, codes: np.ndarray) -> np.ndarray:
    both = np.stack([clean, contaminated], -1)
    found = np.where(np.isnan(both), 0.0, both)
    found[codes == 1, ..., 0] = -np.inf
    found[codes == 0, ..., 1] = -np.inf
    return found


def _groups(series: Any, count: int) -> np.ndarray:
    if series is None:
        return np.zeros(count, dtype=int)
    names = np.asarray(unwrapped(series), dtype=object)
    _check_length(names, "series", count)
    found = pd.factorize(names)[0]
    if (found < 0).any():
        raise DataError(f"series is missing in row {int((found < 0).argmax())}. Name its series.")
    return np.asarray(found)


def _times(order: Any, count: int) -> tuple[np.ndarray, bool]:
    """Return the time of each row, and whether it is only its place. Dates become seconds."""
    if order is None:
        return np.arange(count, dtype=float), True
    values = pd.Series(np.asarray(unwrapped(order)))
    _check_length(values.to_numpy(), "order", count)
    found = pd.to_numeric(values, errors="coerce") if _holds_numbers(values) else _seconds(values)
    wrong = ~np.isfinite(found.to_numpy(dtype=float))
    if wrong.any():
        row = int(wrong.argmax())
        raise DataError(
            f"order of row {row} is {str(values[row])!r}, which is neither a number nor a time "
            "such as 2024-05-01T12:30:00. Give each row a place in its series."
        )
    return found.to_numpy(dtype=float), False


def _holds_numbers(values: pd.Series) -> bool:
    """Return whether values are numbers, or texts of which the first known one is a number."""
    if pd.api.types.is_datetime64_any_dtype(values):
        return False
    known = values.dropna()
    return known.empty or bool(pd.to_numeric(known.iloc[:1], errors="coerce").notna().all())


def _seconds(values: pd.Series) -> pd.Series:
    """Return seconds since the first time; NaN where a value is not a time.

    Raises:
        DataError: Some times have a time zone and others have none.
    """
    texts = values.dropna().astype(str)
    zoned = texts.str.contains(_ZONE)
    if zoned.any() and not zoned.all():
        plain = texts[~zoned]
        raise DataError(
            f"order of row {plain.index[0]} is {plain.iloc[0]!r}, a time without a time zone, but "
            "other times have one. Give all times a time zone, or none."
        )
    times = pd.to_datetime(values, errors="coerce", format="ISO8601", utc=True)
    return (times - times.min()).dt.total_seconds()


def _check_length(values: np.ndarray, name: str, count: int) -> None:
    if values.shape != (count,):
        raise DataError(
            f"{name} has shape {values.shape}, but there are {count} rows. Give one value per row."
        )


def _check_possible(emissions: np.ndarray, place: np.ndarray) -> None:
    impossible = (emissions == -np.inf).all(-1)
    if impossible.any():
        raise DataError(
            f"Row {place[impossible.argmax()]} is impossible in both states. Give an anomaly "
            "likelihood that allows every target, and check the verified rows."
        )
