"""The choice of the head of a classifier: which one the data can carry."""

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from torch import nn

from nbam_pyro.errors import DataError
from nbam_pyro.estimators.choices import ModelChoice, Trial, judged_choice, tried
from nbam_pyro.estimators.used_rows import UsedRows
from nbam_pyro.inference import Fit
from nbam_pyro.inference.steps.run import Run
from nbam_pyro.models import Splines, Standardise

__all__ = ["Head", "candidate_heads", "choose_head", "head_on"]

Head = Literal["linear", "spline", "network"]
"""Kind of the classifier of a table, from the simplest to the most flexible."""

# Fewest rows for each column of a spline.
_ROWS_PER_COLUMN = 12


def candidate_heads(rows: int, columns: int) -> list[Head]:
    """Return the kinds of head for which a table has enough rows, the simplest first.

    Args:
        rows: Number of rows.
        columns: Number of columns.

    Example:
        >>> candidate_heads(200, 4), candidate_heads(60, 2000)
        (['linear', 'spline', 'network'], ['linear', 'network'])
    """
    spline: list[Head] = ["spline"] if rows >= _ROWS_PER_COLUMN * columns else []
    return ["linear", *spline, "network"]


def head_on(x: np.ndarray, classes: int, head: Head) -> nn.Module:
    """Return an untrained linear classifier of the columns of a table, or of their curves.

    Args:
        x: Rows, (N, D).
        classes: Number of classes.
        head: "linear" or "spline".
    """
    rows = torch.as_tensor(x)
    scaled = Standardise.of(rows)
    if head == "linear":
        return nn.Sequential(scaled, nn.Linear(rows.shape[1], classes))
    curves = Splines.of(scaled(rows))
    return nn.Sequential(nn.Sequential(scaled, curves), nn.Linear(curves.outputs, classes))


def choose_head(
    candidates: list[Head], fit_one: Callable[[Head], tuple[Fit, Run]], rows: UsedRows
) -> tuple[ModelChoice, Fit]:
    """Choose the simplest head that predicts unseen labels about as well as the best one.

    Labels are predicted out of fold, by networks that did not see them (`CrossFit`).

    Args:
        candidates: Kinds of head, from the simplest to the most flexible.
        fit_one: Function that fits one kind of head, and returns the state of the fit, too.
        rows: Rows of a table, their labels and weights.

    Raises:
        DataError: The steps of the fit do not predict labels out of fold.
    """
    trials: dict[Head, Trial] = {}
    density: dict[Head, np.ndarray] = {}
    for head in candidates:
        runs: list[Run] = []

        def fit_head(head: Head = head, runs: list[Run] = runs) -> Fit:
            fitted, run = fit_one(head)
            runs.append(run)
            return fitted

        trials[head] = tried(fit_head)
        if not runs[0].attempts:
            raise DataError(
                "head='auto' compares heads by predictions out of fold, which the given steps do "
                "not make. Add a CrossFit step, leave out steps, or choose the head."
            )
        # The best attempt has not been combined with a network that has seen the labels.
        marginals = [attempt.log_marginals() for attempt in runs[0].attempts]
        best = max(marginals, key=lambda one: float(one.mean()))
        density[head] = best.double().numpy()
    return judged_choice(trials, density, rows.weights, part="head")
