"""`MeanChoice`: which mean of a regression the data can carry."""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
import torch

from nbam_pyro.errors import NBAMWarning, StoryError
from nbam_pyro.estimators.used_rows import UsedRows
from nbam_pyro.inference import Fit, log_marginals, loo
from nbam_pyro.inference.diagnostics.measurement_verdict import different
from nbam_pyro.models import LeverageSwitch
from nbam_pyro.outputs.verdict import Explanation, Verdict
from nbam_pyro.training.folds import split, together

__all__ = ["Mean", "MeanChoice", "candidate_means", "choose_mean"]

Mean = Literal["linear", "spline", "gp", "network"]
"""Kind of the clean mean of a regression, from the simplest to the most flexible."""

# Fewest rows of a network, and most rows of the other means.
_NETWORK, _SEARCHED = 200, 10_000
# One of this many parts of the rows is held out from a network.
_PARTS = 6
# Fewest rows for each number of a mean, and most numbers of a mean whose modes are searched.
_ROWS_PER_NUMBER, _NUMBERS = 3, 60
# Most columns of a Gaussian process by random waves. For one column, splines are as flexible.
_WAVES = 6
# Numbers of a story besides its mean, and curves of a spline for each column.
_OTHERS, _CURVES = 5, 3
# Explanation of the fit itself.
_CHOSEN = "The mean is the chosen one."
# A rival is discussed if it is within this many standard errors of the best.
_RIVAL = 2.0


@dataclass(frozen=True, eq=False)
class MeanChoice:
    """Choice of the clean mean of a regression.

    Attributes:
        choice: Kind of mean that the estimator uses.
        scores: Table with one row per kind of mean, from the simplest to the most flexible: "elpd"
            (sum over rows of the log marginal density of targets that the fit has not seen, in
            nats), "rows" (number of these rows), "difference" (elpd minus that of the best mean, on
            rows that both have predicted) and "standard_error" (of the difference). The choice is
            the simplest mean whose difference is within one standard error of the best. Empty if
            the mean was given.
    """

    choice: Mean
    scores: pd.DataFrame

    @property
    def rivals(self) -> list[Mean]:
        """Other kinds of mean that predict almost as well: within two standard errors."""
        if self.scores.empty:
            return []
        close = self.scores["difference"] >= -_RIVAL * self.scores["standard_error"]
        return [name for name in self.scores.index[close] if name != self.choice]


def candidate_means(rows: int, columns: int) -> list[Mean]:
    """Return the kinds of mean for which a table has enough rows, the simplest first.

    Args:
        rows: Number of rows.
        columns: Number of columns.

    Example:
        >>> candidate_means(39, 2), candidate_means(40, 30), candidate_means(5000, 100)
        (['linear', 'spline'], ['linear'], ['network'])
    """
    if rows > _SEARCHED:
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


@dataclass(frozen=True)
class _Trial:
    """A fit of one kind of mean, with the warnings that it gave."""

    fitted: Fit
    given: list[warnings.WarningMessage]


def choose_mean(
    candidates: list[Mean],
    fit_one: FitOne,
    rows: UsedRows,
    *,
    seed: int,
) -> tuple[MeanChoice, Fit]:
    """Choose the simplest mean that predicts unseen targets about as well as the best one.

    Rows with unusual features do not count (see `LeverageSwitch`): their influence is bounded.
    A network predicts a sixth of the rows that was held out from it. The other means predict each
    row given all others, by importance sampling from one fit (see `loo`).

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
        return MeanChoice(candidates[0], pd.DataFrame()), fit_one(candidates[0], None)
    x, y = rows.x, rows.y
    none, part = np.zeros(len(y), dtype=bool), _part(rows, seed)
    searched: list[Mean] = [mean for mean in candidates if mean != "network"]
    trials: dict[Mean, _Trial] = {mean: _try(fit_one, mean, none) for mean in searched}
    # Leaving out one row of a group leaves its other rows in.
    density = _left_out(trials, x, y) if rows.groups is None else None
    if density is None:
        density = {mean: _held_out(_try(fit_one, mean, part), x, y, part) for mean in searched}
    if "network" in candidates:
        trials["network"] = _try(fit_one, "network", part)
        density["network"] = _held_out(trials["network"], x, y, part)
    choice = _chosen(density, rows.weights * _trusted(x))
    fitted = trials[choice.choice].fitted
    for said in trials[choice.choice].given:
        warnings.warn_explicit(said.message, said.category, said.filename, said.lineno)
    rivals = {name: trials[name].fitted for name in choice.rivals}
    return choice, fitted.judged(_with_rivals(fitted, rivals))


def _left_out(
    trials: dict[Mean, _Trial], x: np.ndarray, y: np.ndarray
) -> dict[Mean, np.ndarray] | None:
    """Return the log density of each target given the other rows, or None if it is not known."""
    with warnings.catch_warnings():
        # A few rows of large influence do not decide between means.
        warnings.filterwarnings("ignore", "Estimated shape parameter of Pareto", UserWarning)
        try:
            return {
                mean: np.asarray(loo(trial.fitted, x, y, num_draws=1000).elpd_i)
                for mean, trial in trials.items()
            }
        except StoryError:
            return None


def _held_out(trial: _Trial, x: np.ndarray, y: np.ndarray, part: np.ndarray) -> np.ndarray:
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


def _try(fit_one: FitOne, mean: Mean, held_out: np.ndarray) -> _Trial:
    """Fit a kind of mean, and keep its warnings."""
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always", NBAMWarning)
        fitted = fit_one(mean, held_out)
    return _Trial(fitted, [one for one in given if issubclass(one.category, NBAMWarning)])


def _with_rivals(fitted: Fit, rivals: dict[Mean, Fit]) -> Verdict:
    """Return the verdict of a fit beside other means that predict almost as well."""
    own = fitted.training_rows.responsibility
    others = {
        name: rival.training_rows.responsibility
        for name, rival in rivals.items()
        if different(own, rival.training_rows.responsibility)
    }
    verdict = fitted.verdict
    if not others:
        return verdict
    names = " and ".join(f"'{name}'" for name in others)
    first = () if verdict.explanations else (Explanation(text=_CHOSEN, contamination=_mean(own)),)
    rest = tuple(
        Explanation(text=f"The mean is '{name}'.", contamination=_mean(r))
        for name, r in others.items()
    )
    return replace(
        verdict,
        level="weak" if verdict.level == "identified" else verdict.level,
        reasons=(
            *verdict.reasons,
            f"Another clean mean, {names}, predicts unseen targets almost as well and flags other "
            "rows.",
        ),
        explanations=(*verdict.explanations, *first, *rest),
        separates=(
            *verdict.separates,
            "Choose the mean from what you know about the data (mean=), or use more rows.",
        ),
    )


def _mean(r: np.ndarray) -> float:
    return float(r.mean())


def _part(rows: UsedRows, seed: int) -> np.ndarray:
    """Return booleans that mark the rows to hold out, (N,)."""
    held_out = np.zeros(len(rows.y), dtype=bool)
    groups = together(rows.x, rows.groups)
    _, own = next(iter(split(rows.y, min(_PARTS, len(rows.y)), seed=seed, groups=groups)))
    held_out[own] = True
    return held_out


def _chosen(density: dict[Mean, np.ndarray], weights: np.ndarray) -> MeanChoice:
    """Return the simplest mean within one standard error of the best.

    Args:
        density: Log density of unseen targets by kind of mean, (N,); NaN for rows that were not
            predicted.
        weights: Weights of the rows, (N,).
    """

    def against(first: Mean, second: Mean) -> tuple[float, float]:
        """Return the difference on the rows that both have predicted, and its standard error."""
        difference = density[first] - density[second]
        seen = np.isfinite(difference) & (weights > 0)
        difference = (weights * difference)[seen]
        return float(difference.sum()), math.sqrt(len(difference)) * float(np.std(difference))

    best: Mean = next(iter(density))
    for mean in density:
        if against(mean, best)[0] > 0:
            best = mean
    compared = {mean: against(mean, best) for mean in density}
    known = {mean: np.isfinite(values) & (weights > 0) for mean, values in density.items()}
    scores = pd.DataFrame(
        {
            "elpd": {mean: float((weights * density[mean])[known[mean]].sum()) for mean in density},
            "rows": {mean: int(known[mean].sum()) for mean in density},
            "difference": {mean: one for mean, (one, _) in compared.items()},
            "standard_error": {mean: error for mean, (_, error) in compared.items()},
        }
    )
    scores.index.name = "mean"
    close = scores["difference"] >= -scores["standard_error"]
    return MeanChoice(next(mean for mean in density if close[mean]), scores)
