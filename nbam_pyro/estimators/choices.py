"""`ModelChoice`: which of several kinds of model the data can carry."""

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import pandas as pd

from nbam_pyro.errors import NBAMWarning
from nbam_pyro.inference import Fit
from nbam_pyro.inference.diagnostics.measurement_verdict import different
from nbam_pyro.outputs.explanation import Explanation
from nbam_pyro.outputs.verdict import Verdict
from nbam_pyro.outputs.wording.sentences import sentence

__all__ = ["ModelChoice", "Trial", "judged_choice", "simplest", "tried"]

Kind = TypeVar("Kind", bound=str)

# Smallest log density of a target.
_IMPOSSIBLE = -1e4
# A rival is discussed if it is within this many standard errors of the best.
_RIVAL = 2.0


@dataclass(frozen=True, eq=False)
class ModelChoice:
    """Choice between several kinds of model, such as the clean mean of a regression.

    Attributes:
        choice: Kind of model that the estimator uses.
        scores: Table with one row per kind of model, from the simplest to the most flexible: "elpd"
            (sum over rows of the log marginal density of targets that the fit has not seen, in
            nats), "rows" (number of these rows), "difference" (elpd minus that of the best kind, on
            rows that both have predicted) and "standard_error" (of the difference). The choice is
            the simplest kind whose difference is within one standard error of the best. Empty if
            the kind was given.
    """

    choice: str
    scores: pd.DataFrame

    @classmethod
    def given(cls, kind: str) -> "ModelChoice":
        """Return the choice of a kind that was given."""
        return cls(kind, pd.DataFrame())

    @property
    def rivals(self) -> list[str]:
        """Other kinds of model that predict almost as well: within two standard errors."""
        if self.scores.empty:
            return []
        close = self.scores["difference"] >= -_RIVAL * self.scores["standard_error"]
        return [name for name in self.scores.index[close] if name != self.choice]


@dataclass(frozen=True)
class Trial:
    """A fit of one kind of model, with the warnings that it gave."""

    fitted: Fit
    given: list[warnings.WarningMessage]


def tried(fit_one: Callable[[], Fit]) -> Trial:
    """Fit a kind of model, and keep its warnings.

    Args:
        fit_one: Function that fits it.
    """
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always", NBAMWarning)
        fitted = fit_one()
    return Trial(fitted, [one for one in given if issubclass(one.category, NBAMWarning)])


def judged_choice(
    trials: Mapping[Kind, Trial],
    density: Mapping[Kind, np.ndarray],
    weights: np.ndarray,
    *,
    part: str,
) -> tuple[ModelChoice, Fit]:
    """Return the simplest kind of model within one standard error of the best, and its fit.

    The warnings of its fit are given again. The verdict of the fit is "weak" if another kind
    predicts almost as well and flags other rows.

    Args:
        trials: Fits by kind of model.
        density: Log density of unseen targets by kind of model, from the simplest to the most
            flexible, (N,); NaN for rows that were not predicted.
        weights: Weights of the rows, (N,).
        part: Name of the argument that chooses the kind, such as "mean".
    """
    scores = _scores(density, weights)
    scores.index.name = part
    best = _simplest(density, scores)
    choice, one = ModelChoice(best, scores), trials[best]
    for said in one.given:
        warnings.warn_explicit(said.message, said.category, said.filename, said.lineno)
    rivals: dict[str, Fit] = {
        kind: trial.fitted for kind, trial in trials.items() if kind in choice.rivals
    }
    return choice, one.fitted.judged(_with_rivals(one.fitted, rivals, part=part))


def _with_rivals(fitted: Fit, rivals: dict[str, Fit], *, part: str) -> Verdict:
    """Return the verdict of a fit beside other kinds of model that predict almost as well.

    Args:
        fitted: Fit of the chosen kind.
        rivals: Fits of the other kinds, by name.
        part: Name of the argument that chooses the kind, such as "mean".
    """
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
    used = Explanation(text=f"The {part} is the chosen one.", contamination=float(own.mean()))
    rest = tuple(
        Explanation(text=f"The {part} is '{name}'.", contamination=float(r.mean()))
        for name, r in others.items()
    )
    return replace(
        verdict,
        level="weak" if verdict.level == "identified" else verdict.level,
        assumed=sentence(
            verdict.assumed,
            f"the {part} is assumed to be the chosen one, but another {part}, {names}, predicts "
            "unseen targets almost as well and flags other rows",
        ),
        explanations=(*verdict.explanations, *(() if verdict.explanations else (used,)), *rest),
        decides=sentence(
            verdict.decides,
            f"choose the {part} from what you know about the data ({part}=), or use more rows",
        ),
    )


def simplest(density: Mapping[Kind, np.ndarray], weights: np.ndarray) -> Kind:
    """Return the simplest kind of model within one standard error of the best.

    Args:
        density: Log density of unseen targets by kind of model, from the simplest to the most
            flexible, (N,); NaN for rows that were not predicted.
        weights: Weights of the rows, (N,).
    """
    return _simplest(density, _scores(density, weights))


def _simplest(density: Mapping[Kind, np.ndarray], scores: pd.DataFrame) -> Kind:
    close = scores["difference"] >= -scores["standard_error"]
    return next(kind for kind in density if close[kind])


def _scores(density: Mapping[Kind, np.ndarray], weights: np.ndarray) -> pd.DataFrame:
    """Return the table of scores of a `ModelChoice`."""

    def against(first: Kind, second: Kind) -> tuple[float, float]:
        """Return the difference on the rows that both have predicted, and its standard error."""
        difference = density[first] - density[second]
        seen = ~np.isnan(difference) & (weights > 0)
        difference = (weights * difference)[seen]
        if not len(difference):
            return 0.0, 0.0
        return float(difference.sum()), math.sqrt(len(difference)) * float(np.std(difference))

    # A kind under which a target is impossible is very bad, but its score is a number.
    density = {kind: np.maximum(values, _IMPOSSIBLE) for kind, values in density.items()}
    best = next(iter(density))
    for kind in density:
        if against(kind, best)[0] > 0:
            best = kind
    compared = {kind: against(kind, best) for kind in density}
    known = {kind: ~np.isnan(values) & (weights > 0) for kind, values in density.items()}
    return pd.DataFrame(
        {
            "elpd": {kind: float((weights * density[kind])[known[kind]].sum()) for kind in density},
            "rows": {kind: int(known[kind].sum()) for kind in density},
            "difference": {kind: one for kind, (one, _) in compared.items()},
            "standard_error": {kind: error for kind, (_, error) in compared.items()},
        }
    )
