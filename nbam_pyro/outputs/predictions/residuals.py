"""Checks of measurements and predictions, and their standardised residuals."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from nbam_pyro.checks.arguments import as_numbers, check_numbers, place_of
from nbam_pyro.checks.containers import unwrapped
from nbam_pyro.errors import DataError
from nbam_pyro.outputs.predictions.quantile_scores import quantile_scores

__all__ = ["Residuals"]

# The predictive distribution of draws is described by their quantiles at these levels.
_LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
_FEWEST_DRAWS = 20
# Smaller differences, as a share of the measurement, are rounding errors.
_DIGITS = 1e-12
_MEND = (
    "Give mean= (with scale= if it is known), or quantiles=, or draws=, and only one of the three."
)


@dataclass(frozen=True, kw_only=True)
class Residuals:
    """Checked arguments of `from_predictions`.

    Attributes:
        y: Measurements, NaN if missing, (N,).
        prediction: Predicted mean, or median of the predicted quantiles, (N,).
        residual: Standardised residuals, NaN if the measurement is missing, (N,).
        predictors: Prediction, and predicted scale if there is one, (N, 1 or 2).
        index: Index of the rows, as in pandas.
    """

    y: np.ndarray
    prediction: np.ndarray
    residual: np.ndarray
    predictors: np.ndarray
    index: pd.Index

    @classmethod
    def of(cls, y: Any, mean: Any, *, scale: Any, quantiles: Any, draws: Any) -> "Residuals":
        """Check the arguments; arguments and errors as in `from_predictions`."""
        if sum(one is not None for one in (mean, quantiles, draws)) != 1:
            raise DataError(f"It is not clear which predictions to use. {_MEND}")
        if scale is not None and mean is None:
            raise DataError("scale is given without mean. Give both, or leave scale out.")
        y, mean, scale, draws = map(unwrapped, (y, mean, scale, draws))
        index = _index(y=y, mean=mean, scale=scale, quantiles=quantiles, draws=draws)
        values = _measurements(y)
        n = len(values)
        index = pd.RangeIndex(n) if index is None else index
        if quantiles is not None:
            levels, table = _quantiles(quantiles, n)
        elif draws is not None:
            levels, table = np.array(_LEVELS), np.quantile(_draws(draws, n), _LEVELS, axis=1).T
        else:
            centre = _column(mean, "mean", n)
            size = np.ones(n) if scale is None else _scales(scale, n)
            predictors = [centre] if scale is None else [centre, size]
            return cls(
                y=values,
                prediction=centre,
                residual=_difference(values, centre) / size,
                predictors=np.column_stack(predictors),
                index=index,
            )
        found = quantile_scores(values, table, levels)
        return cls(
            y=values,
            prediction=found.median,
            residual=found.scores,
            predictors=np.column_stack([found.median, found.scale]),
            index=index,
        )


def _difference(y: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Return y - mean, exactly zero where only rounding errors remain."""
    difference = y - mean
    return np.where(abs(difference) <= _DIGITS * np.maximum(abs(y), abs(mean)), 0.0, difference)


def _index(**arguments: Any) -> pd.Index | None:
    """Return the common index of those arguments that have one."""
    indexed = {
        name: one.index
        for name, one in arguments.items()
        if isinstance(one, pd.Series | pd.DataFrame)
    }
    first = next(iter(indexed.values()), None)
    if any(not one.equals(first) for one in indexed.values()):
        raise DataError(
            f"{' and '.join(indexed)} have different indices, so their rows may not belong "
            "together. Align them, or pass arrays."
        )
    return first


def _measurements(y: Any) -> np.ndarray:
    values = as_numbers(y, "y").astype(float)
    if values.ndim != 1 or not len(values):
        raise DataError(
            f"y has shape {values.shape}; expected one measurement for each row, (N,), and at "
            "least one row."
        )
    if np.isinf(values).any():
        raise DataError(
            f"y is infinite in {place_of(np.isinf(values))}. Correct it, or give NaN if the "
            "measurement is missing."
        )
    if np.isnan(values).all():
        raise DataError("All measurements in y are missing. Give at least one.")
    return values


def _column(values: Any, name: str, n: int) -> np.ndarray:
    column = as_numbers(values, name).astype(float)
    if column.shape != (n,):
        raise DataError(
            f"{name} has shape {column.shape}, but y has {n} rows. Give one number for each row of "
            "y, in the same order."
        )
    check_numbers(column, name)
    return column


def _scales(scale: Any, n: int) -> np.ndarray:
    values = _column(scale, "scale", n)
    if (wrong := values <= 0).any():
        raise DataError(
            f"scale is {values[wrong][0]} in {place_of(wrong)}; it must be positive. Give the "
            "predicted standard deviation of each measurement, or leave scale out."
        )
    return values


def _quantiles(quantiles: Any, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return levels in rising order, (Q,), and quantiles, (N, Q)."""
    table = unwrapped(quantiles)
    if not isinstance(table, Mapping | pd.DataFrame):
        raise DataError(
            "quantiles must be a dictionary from levels to predicted quantiles, such as "
            "{0.05: low, 0.5: middle, 0.95: high}, or a data frame whose columns are levels."
        )
    try:
        levels_by_name = {name: float(str(name)) for name in table}
    except ValueError as error:
        raise DataError(
            f"The levels of quantiles are {list(table)}; expected numbers such as 0.05 and 0.95."
        ) from error
    named = {
        level: _column(table[name], f"quantile {level:g}", n)
        for name, level in levels_by_name.items()
    }
    levels = np.sort(np.array(list(named)))
    if len(levels) < 2 or not ((levels > 0) & (levels < 1)).all():
        raise DataError(
            f"The levels of quantiles are {levels.tolist()}; expected at least two different "
            "numbers between 0 and 1. Give a single quantile as mean=."
        )
    return levels, np.column_stack([named[level] for level in levels.tolist()])


def _draws(draws: Any, n: int) -> np.ndarray:
    values = as_numbers(draws, "draws").astype(float)
    if values.ndim != 2 or len(values) != n or values.shape[1] < _FEWEST_DRAWS:
        raise DataError(
            f"draws has shape {values.shape}; expected ({n}, S): one row for each row of y, and at "
            f"least S = {_FEWEST_DRAWS} draws. If there are fewer, give their mean and scale."
        )
    check_numbers(values, "draws")
    return values
