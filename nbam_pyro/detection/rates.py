"""How many of the training rows are anomalies, by where independent models agree on which."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from nbam_pyro.detection.assignments import Assignment
from nbam_pyro.detection.energies import Backbone, Energies
from nbam_pyro.detection.training import Prior, Schedule, energies_of, train_backbone
from nbam_pyro.errors import DataError
from nbam_pyro.inference.training import Options

__all__ = ["RateEstimate", "agreement", "estimate_rate"]

CANDIDATES = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3)
# Models that agree no better than this have found nothing in common.
_AGREED = 0.8


@dataclass(frozen=True)
class RateEstimate:
    """A rate of anomalies with its evidence.

    Attributes:
        rate: the estimate; 0 where no rate makes models agree.
        low: lower end of the interval.
        high: upper end: between them lie the candidates that the agreement of the pairs of models
            does not tell from the estimate, by two standard errors, and half a step to either side.
        agreement: by candidate, "mean" over pairs of models and its "se".
    """

    rate: float
    low: float
    high: float
    agreement: pd.DataFrame


def estimate_rate(
    make: Callable[[int], Backbone],
    assignment: Assignment,
    x: Tensor,
    *,
    candidates: Sequence[float] = CANDIDATES,
    members: int = 4,
    schedule: Schedule,
    options: Options,
) -> RateEstimate:
    r"""The rate under which models from different initial weights assign the same rows.

    Energies that are no densities cannot tell how many rows are anomalies by their size. But told
    the true number, models from different initial weights push the same rows away, because those
    rows have something in common that the others have not. Told a larger one, each has to pick
    some normal rows, told a smaller one, some of the anomalies, and their picks differ.

    .. math::
        \kappa(\alpha) = \frac{J(\alpha) - \alpha}{1 - \alpha}

    where J is the share of the rows assigned by one model that another assigns, too, and alpha what
    it would be by chance. The candidate of highest kappa is the estimate if that is above 0.8, and
    if larger candidates are lower: agreement that only grows with alpha is that on what normal rows
    are like. Else the estimate is 0, and training is blind.

    All candidates and members are one batched model.

    Args:
        make: a backbone with so many members.
        assignment: of the switches, such as `Soft`.
        x: rows, (N, ...).
        candidates: rates to try, each in (0, 1), rising; at least two.
        members: models for each of them, at least 2.
        schedule: of training.
        options: of training.

    Raises:
        DataError: there are fewer than two candidates or members, or candidates do not rise.
    """
    rates = np.asarray(candidates, dtype=float)
    if len(rates) < 2 or (np.diff(rates) <= 0).any() or rates[0] <= 0:
        raise DataError(f"candidates are {list(candidates)}: give two or more that rise from 0.")
    if members < 2:
        raise DataError(f"members is {members}: agreement takes at least 2.")
    every = np.repeat(rates, members)
    prior = Prior(len(every), 0.0)
    prior.logit.copy_(torch.as_tensor(every)[:, None].logit())
    rows = x.expand(len(every), *x.shape)
    backbone = make(len(every))
    train_backbone(backbone, assignment, rows, prior, schedule=schedule, options=options)
    found = energies_of(backbone, rows)
    parts = [
        agreement(Energies(*(side[every == rate] for side in found)), float(rate)) for rate in rates
    ]
    table = pd.DataFrame(
        {
            "mean": [part.mean() for part in parts],
            # Pairs share models: as many are independent as there are models, about.
            "se": [part.std() / np.sqrt(members) for part in parts],
        },
        index=pd.Index(rates, name="rate"),
    )
    return decide(table)


def agreement(energies: Energies, rate: float) -> np.ndarray:
    """Kappa of every pair of members, as to which rows are the anomalies at a rate.

    Args:
        energies: (S, N) each.
        rate: of anomalies.

    Example:
        >>> same = torch.arange(10.0).expand(2, 10)
        >>> agreement(Energies(same, -same), 0.2)
        array([1.])
    """
    score = energies.clean - energies.anomalous
    members, count = score.shape
    top = max(1, round(rate * count))
    chosen = torch.zeros(members, count).scatter(1, score.topk(top, 1).indices, 1.0)
    shared = (chosen @ chosen.T / top).numpy()[np.triu_indices(members, 1)]
    return (shared - rate) / (1 - rate)


def decide(table: pd.DataFrame) -> RateEstimate:
    """The estimate from the agreement by candidate: "mean" and "se"."""
    mean, se, rates = table["mean"].to_numpy(), table["se"].to_numpy(), table.index.to_numpy()
    best = int(mean.argmax())
    if mean[best] < _AGREED or best == len(rates) - 1:
        return RateEstimate(0.0, 0.0, float(rates[0]), table)
    near = mean + 2 * np.hypot(se, se[best]) >= mean[best]
    low = high = best
    while low > 0 and near[low - 1]:
        low -= 1
    while high < len(rates) - 1 and near[high + 1]:
        high += 1
    below = rates[low - 1] if low else 0.0
    above = rates[high + 1] if high < len(rates) - 1 else rates[-1]
    return RateEstimate(
        float(rates[best]),
        float((rates[low] + below) / 2),
        float((rates[high] + above) / 2),
        table,
    )
