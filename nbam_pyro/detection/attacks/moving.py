"""One attack on all rows: by gradients where there are any, else by queries, and by transfer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from scipy.stats import rankdata

from nbam_pyro.detection.attacks.ball import Ball, Bounds
from nbam_pyro.detection.attacks.gradients import pgd
from nbam_pyro.detection.attacks.queries import square_queries
from nbam_pyro.detection.attacks.steps import StepRule
from nbam_pyro.detection.attacks.targets import Target

__all__ = ["Rows", "Strength", "auroc", "moved", "queried", "signed"]


@final
@dataclass(frozen=True, kw_only=True)
class Strength:
    """How much an attacker tries.

    Attributes:
        steps: Number of gradient steps from each start.
        starts: Number of starts.
        step_rule: Rule of the steps; None for steps of equal size.
        samples: Number of evaluations that are averaged.
        smoothed: Whether rows are also moved through smoothed forms of the score.
        queries: Number of score queries for each row.
        surrogates: Other detectors with gradients, whose attacked rows are tried, too.
    """

    steps: int
    starts: int
    step_rule: StepRule | None = None
    samples: int = 1
    smoothed: bool = True
    queries: int = 500
    surrogates: tuple[Target, ...] = ()


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Rows:
    """Rows that are attacked.

    Attributes:
        x: Rows before the attack, (N, ...) float64.
        sign: 1 for normal rows, whose score is raised, and -1 for anomalies, (N,).
        unit: Change of each value at eps = 1, broadcast to x.
        bounds: Smallest and largest value; None without bounds.
        seed: Seed of all random numbers.
    """

    x: np.ndarray
    sign: np.ndarray
    unit: np.ndarray
    bounds: Bounds | None
    seed: int

    def ball(self, eps: float) -> Ball:
        """Return the rows that an attacker may choose.

        Args:
            eps: Largest change of a value, in units of `unit`.
        """
        return Ball.around(torch.as_tensor(self.x), torch.as_tensor(eps * self.unit), self.bounds)

    def part(self, index: np.ndarray) -> "Rows":
        """Return some of the rows.

        Args:
            index: Indices of the rows.
        """
        return Rows(
            x=self.x[index],
            sign=self.sign[index],
            unit=self.unit,
            bounds=self.bounds,
            seed=self.seed,
        )


def moved(
    target: Target, rows: Rows, eps: float, strength: Strength, begin: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return attacked rows and their scores, no better than the rows to begin with.

    Args:
        target: Scores of the detector.
        rows: Rows to attack.
        eps: Largest change of a value.
        strength: How much the attacker tries.
        begin: Rows of an attack with a smaller eps, (N, ...).
    """
    worst, scores = rows.x, target.scores(rows.x)
    ball, tried = rows.ball(eps), [begin]
    if target.score is None:
        tried.append(queried(target, rows, eps, strength.queries, begin)[0])
    for one in (target, *strength.surrogates):
        if one.score is not None:
            tried.append(_by_gradients(one, rows, eps, strength, begin))
    for candidate in tried:
        inside = ball.nearest(torch.as_tensor(candidate, dtype=torch.float64)).numpy()
        found = target.scores(inside)
        worse = rows.sign * found > rows.sign * scores
        worst = np.where(worse.reshape(-1, *(1,) * (worst.ndim - 1)), inside, worst)
        scores = np.where(worse, found, scores)
    return worst, scores


def _by_gradients(
    target: Target, rows: Rows, eps: float, strength: Strength, begin: np.ndarray
) -> np.ndarray:
    score = target.score
    if score is None:
        return begin
    through = target.objectives or (score,)
    if strength.smoothed:
        through += target.smoothed
    bounds = rows.bounds and (
        # Rows are rounded to the precision of the gradients, so the bounds must be, too.
        float(torch.tensor(rows.bounds[0], dtype=target.dtype)),
        float(torch.tensor(rows.bounds[1], dtype=target.dtype)),
    )
    found = pgd(
        score,
        target.tensor(rows.x),
        target.tensor(rows.sign),
        eps=target.tensor(np.broadcast_to(eps * rows.unit, rows.x.shape).copy()),
        steps=strength.steps,
        starts=strength.starts,
        step_rule=strength.step_rule,
        bounds=bounds,
        objectives=through,
        samples=strength.samples,
        begin=target.tensor(begin),
        seed=rows.seed,
    )
    return found.x.cpu().double().numpy()


def queried(
    target: Target, rows: Rows, eps: float, queries: int, begin: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return rows that score queries found, and their scores.

    Args:
        target: Scores of the detector.
        rows: Rows to attack.
        eps: Largest change of a value.
        queries: Number of queries for each row.
        begin: Rows to begin with, (N, ...); None for the rows themselves.
    """
    return square_queries(
        target.scores,
        rows.x,
        rows.sign,
        eps=eps * rows.unit,
        queries=queries,
        bounds=rows.bounds,
        begin=begin,
        seed=rows.seed,
    )


def signed(target: Target, rows: Rows, eps: float) -> tuple[np.ndarray, np.ndarray]:
    """Return rows in which each value is changed by eps in a random direction, and their scores.

    Args:
        target: Scores of the detector.
        rows: Rows to change.
        eps: Size of the change.
    """
    x = rows.ball(eps).corner(torch.Generator().manual_seed(rows.seed)).numpy()
    return x, target.scores(x)


def auroc(scores: np.ndarray, anomaly: np.ndarray) -> float:
    """Return the probability that an anomaly scores higher than a normal row; ties count half.

    Args:
        scores: Scores of rows, (N,). They may be infinite.
        anomaly: Whether each row is an anomaly, (N,).

    Example:
        >>> auroc(np.array([0.0, 1.0, 2.0]), np.array([False, True, False]))
        0.5
    """
    count = int(anomaly.sum())
    above = rankdata(scores)[anomaly].sum() - count * (count + 1) / 2
    return float(above / (count * (len(anomaly) - count)))


def subset(anomaly: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Return indices of random rows, half of them anomalies where there are enough, sorted.

    Args:
        anomaly: Whether each row is an anomaly, (N,).
        count: Largest number of rows, at least 2.
        seed: Seed of the choice.
    """
    rng = np.random.default_rng(seed)
    half = max(1, count // 2)
    kinds: Sequence[np.ndarray] = [np.flatnonzero(~anomaly), np.flatnonzero(anomaly)]
    return np.sort(np.concatenate([rng.permutation(kind)[:half] for kind in kinds]))
