"""The choice of the clean mean of a regression: which mean the data can carry."""

import math
import warnings
from collections.abc import Callable
from functools import partial
from typing import Literal

import numpy as np
import torch

from nbam_pyro.errors import StoryError
from nbam_pyro.estimators.choices import ModelChoice, Trial, judged_choice, simplest, tried
from nbam_pyro.estimators.used_rows import UsedRows
from nbam_pyro.inference import Fit, log_marginals
from nbam_pyro.models import LeverageSwitch
from nbam_pyro.training.folds import split, together

__all__ = ["SEARCHED", "Mean", "candidate_means", "choose_mean"]

Mean = Literal["linear", "spline", "gp", "network"]
"""Kind of the clean mean of a regression, from the simplest to the most flexible."""

SEARCHED = 10_000
"""With more rows, the only mean that is tried is a network."""

# Fewest rows of a network.
_NETWORK = 200
# One of this many parts of the rows is held out from a network.
_PARTS = 6
# Fewest rows for each number of a mean, and most numbers of a mean whose modes are searched.
_ROWS_PER_NUMBER, _NUMBERS = 3, 60
# Most columns of a Gaussian process by random waves. For one column, splines are as flexible.
_WAVES = 6
# From this number of rows, a Gaussian process is tried only if a network predicts better than lines
# and splines. A network then has enough rows to show this, and takes less time.
_LATER = 1000
# Numbers of a story besides its mean, and curves of a spline for each column.
_OTHERS, _CURVES = 5, 3


def candidate_means(rows: int, columns: int) -> list[Mean]:
    """Return the kinds of mean for which a table has enough rows, the simplest first.

    Args:
        rows: Number of rows.
        columns: Number of columns.

    Example:
        >>> candidate_means(39, 2), candidate_means(40, 30), candidate_means(5000, 100)
        (['linear', 'spline'], ['linear'], ['network'])
    """
    if rows > SEARCHED:
        return ["network"]
    numbers: dict[Mean, int] = {"linear": columns, "spline": (1 + _CURVES) * columns}
    found: list[Mean] = [
        mean
        for mean, count in numbers.items()
        if count + _OTHERS <= min(_NUMBERS, rows / _ROWS_PER_NUMBER)
    ]
    if 1 < columns <= _WAVES and rows >= 2 * _NUMBERS / _ROWS_PER_NUMBER:
        found.append("gp")
    if rows >= _NETWORK:
        found.append("network")
    return found or ["linear"]


FitOne = Callable[[Mean, np.ndarray | None], Fit]
"""Function that fits a kind of mean. It holds out the rows that a boolean array (N,) marks, or the
rows that the estimator chooses if the array is None."""


def choose_mean(
    candidates: list[Mean],
    fit_one: FitOne,
    rows: UsedRows,
    *,
    seed: int,
) -> tuple[ModelChoice, Fit]:
    """Choose the simplest mean that predicts unseen targets about as well as the best one.

    Rows with unusual features do not count (see `LeverageSwitch`): their influence is bounded.
    A network predicts a sixth of the rows that was held out from it. The other means predict each
    row given all others, by importance sampling from one fit (see `loo`). From 1,000 rows, a
    Gaussian process is tried only if a network is chosen among the other means.

    Args:
        candidates: Kinds of mean, from the simplest to the most flexible.
        fit_one: Function that fits one kind of mean.
        rows: Rows of a table, their targets, weights and groups.
        seed: Seed of the folds.

    Returns:
        The choice, and its fit. The verdict of the fit is "weak" if another mean predicts almost as
        well and flags other rows.
    """
    if len(candidates) == 1:
        return ModelChoice.given(candidates[0]), fit_one(candidates[0], None)
    weights = rows.weights * _trusted(rows.x)
    part = _part(rows, seed)
    later: list[Mean] = ["gp"] if "network" in candidates and len(rows.y) >= _LATER else []
    trials: dict[Mean, Trial] = {}
    density: dict[Mean, np.ndarray] = {}

    def in_order() -> dict[Mean, np.ndarray]:
        return {mean: density[mean] for mean in candidates if mean in density}

    for mean in sorted(candidates, key=later.count):
        if mean in later and simplest(in_order(), weights) != "network":
            continue
        trials[mean], density[mean] = _tried(mean, fit_one, rows, part)
    return judged_choice(trials, in_order(), weights, part="mean")


def _tried(
    mean: Mean, fit_one: FitOne, rows: UsedRows, part: np.ndarray
) -> tuple[Trial, np.ndarray]:
    """Fit a kind of mean, and return the log density of unseen targets, (N,).

    Args:
        mean: Kind of mean.
        fit_one: Function that fits it.
        rows: Rows of a table.
        part: Booleans that mark the rows to hold out if rows cannot be left out one by one, (N,).
    """
    if mean != "network":
        trial = tried(partial(fit_one, mean, np.zeros(len(rows.y), dtype=bool)))
        # Leaving out one row of a group leaves its other rows in.
        density = _left_out(trial, rows.x, rows.y) if rows.groups is None else None
        if density is not None:
            return trial, density
    held_out = tried(partial(fit_one, mean, part))
    density = _held_out(held_out, rows.x, rows.y, part)
    return (held_out if mean == "network" else trial), density


def _left_out(trial: Trial, x: np.ndarray, y: np.ndarray) -> np.ndarray | None:
    """Return the log density of each target given the other rows, or None if it is not known."""
    from nbam_pyro.inference import loo

    with warnings.catch_warnings():
        # A few rows of large influence do not decide between means.
        warnings.filterwarnings("ignore", "Estimated shape parameter of Pareto", UserWarning)
        try:
            return np.asarray(loo(trial.fitted, x, y, num_draws=1000).elpd_i)
        except StoryError:
            return None


def _held_out(trial: Trial, x: np.ndarray, y: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Return the log density of the held-out targets, (N,); NaN for the other rows."""
    density = np.full(len(y), np.nan)
    draws = log_marginals(trial.fitted, x[part], y[part])
    density[part] = np.logaddexp.reduce(draws, 0) - math.log(len(draws))
    return density


def _trusted(x: np.ndarray) -> np.ndarray:
    """Return the weight of each row in the choice, (N,): 0 for rows with unusual features.

    A curve can follow a group of wrong measurements that lies apart from all other rows, and would
    then be chosen because of it.
    """
    rows = torch.as_tensor(x)
    return 1 - LeverageSwitch.of(rows).leverage(rows).double().numpy()


def _part(rows: UsedRows, seed: int) -> np.ndarray:
    """Return booleans that mark the rows to hold out, (N,)."""
    held_out = np.zeros(len(rows.y), dtype=bool)
    groups = together(rows.x, rows.groups)
    _, own = next(iter(split(rows.y, min(_PARTS, len(rows.y)), seed=seed, groups=groups)))
    held_out[own] = True
    return held_out
