"""`pgd`: the worst row inside of a ball that gradients find."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from nbam_pyro.detection.attacks.ball import Ball, Bounds
from nbam_pyro.detection.attacks.steps import FixedStep, StepRule
from nbam_pyro.errors import DataError
from nbam_pyro.models.likelihoods.component import check_whole

__all__ = ["Attacked", "Score", "pgd"]

Score = Callable[[Tensor], Tensor]
"""Function that takes rows (N, ...) and returns one number for each, (N,)."""


@final
@dataclass(frozen=True, eq=False)
class Attacked:
    """Attacked rows and their scores.

    Attributes:
        x: Worst row that was found for each row, (N, ...).
        scores: Scores of these rows, (N,).
    """

    x: Tensor
    scores: Tensor


def pgd(
    score: Score,
    x: Tensor,
    sign: Tensor,
    *,
    eps: float | Tensor,
    steps: int = 20,
    starts: int = 1,
    step_rule: StepRule | None = None,
    bounds: Bounds | None = None,
    objectives: Sequence[Score] = (),
    samples: int = 1,
    begin: Tensor | None = None,
    size: int = 512,
    seed: int = 0,
) -> Attacked:
    r"""Move rows inside of a ball to where their score is worst (projected gradient steps).

    .. math::
        x' = \arg\max_{|x' - x|_\infty \le \epsilon} \sigma \, s(x')

    Of all rows that were visited, the one with the worst score is kept for each row. The row itself
    is among them. Therefore :math:`\sigma s(x') \ge \sigma s(x)` for every row.

    Args:
        score: Function s that takes rows (n, ...) and returns scores (n,).
        x: Rows, (N, ...), of a floating-point type.
        sign: Direction for each row, (N,): 1 to raise its score, -1 to lower it.
        eps: Largest change of a value, as a number, or broadcast to x for features of different
            units.
        steps: Number of steps from each start.
        starts: Number of starts. The first is `begin` or x, the others are random.
        step_rule: Rule of the steps. None for `FixedStep()`, steps of 2.5 eps / steps.
        bounds: Smallest and largest value of x, such as (0, 1) for pixels; None without bounds.
        objectives: Functions through which rows are moved instead of the score, each with all
            starts. The score decides which row is kept. Use them where the score is constant in
            steps, such as a rank. If it is empty, rows are moved through the score.
        samples: Number of evaluations that are averaged, for a score with random numbers
            (expectation over transformations).
        begin: Rows of an earlier attack to start with, (N, ...), such as those of a smaller eps.
            They are kept if nothing worse is found. Those outside of the ball are moved into it.
        size: Number of rows that are moved at once.
        seed: Seed of the random starts. The global random state of torch is not changed.

    Returns:
        The attacked rows and their scores.

    Raises:
        DataError: A shape or a setting is wrong, x is not within the bounds, the score of x is not
            a number, or no gradient flows from an objective to x.

    Source: Madry et al. (2018); Croce & Hein (2020), for the best row and several objectives;
    Athalye et al. (2018), for the expectation over transformations.

    Example:
        >>> x, w = torch.zeros(2, 3), torch.tensor([1.0, -2.0, 0.0])
        >>> pgd(lambda x: x @ w, x, torch.tensor([1.0, -1.0]), eps=0.5).scores
        tensor([ 1.5000, -1.5000])
    """
    _check(x, sign, begin, steps=steps, starts=starts, samples=samples, size=size)
    generator = torch.Generator().manual_seed(seed)
    sizes = torch.as_tensor(eps, dtype=x.dtype, device=x.device).expand_as(x)
    rule = FixedStep() if step_rule is None else step_rule
    moved, scores = [], []
    for rows in torch.arange(len(x), device=x.device).split(size):
        ball = Ball.around(x[rows], sizes[rows], bounds)
        search = _Search(score, x[rows], sign[rows].to(x), samples)
        first = x[rows]
        if begin is not None:
            first = ball.nearest(begin[rows].to(x))
            search.visit(first)
        for objective in objectives or (score,):
            for start in range(starts):
                at = first if start == 0 else ball.random(generator)
                rule.walk(search.through(objective), at, ball, steps)
        moved.append(search.x)
        scores.append(search.scores)
    if not moved:
        return Attacked(x, x.new_zeros(0))
    return Attacked(torch.cat(moved), torch.cat(scores))


class _Search:
    """The worst row that was visited for each row."""

    def __init__(self, score: Score, x: Tensor, sign: Tensor, samples: int) -> None:
        self.score, self.sign, self.samples = score, sign, samples
        self.x = x.detach()
        with torch.no_grad():
            self.scores = self._mean(score, self.x)
        if bool(self.scores.isnan().any()):
            row = int(self.scores.isnan().nonzero()[0, 0])
            raise DataError(f"The score of row {row} is not a number. Correct the score function.")

    def through(self, objective: Score) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
        """Return a function that gives signed values of an objective and their gradients."""

        def climb(x: Tensor) -> tuple[Tensor, Tensor]:
            x = x.detach().requires_grad_()
            with torch.enable_grad():
                values = self._mean(objective, x)
                if not values.requires_grad:
                    raise DataError(
                        "No gradient flows from an objective to x. Compute it from x with torch, "
                        "without detach and rounding, or use square_queries."
                    )
                (gradient,) = torch.autograd.grad(values.sum(), x)
            values = values.detach()
            if objective is self.score:
                self._keep(x.detach(), values)
            else:
                self.visit(x)
            shape = (-1, *(1,) * (x.ndim - 1))
            return self.sign * values, self.sign.reshape(shape) * gradient.nan_to_num(0.0)

        return climb

    def visit(self, x: Tensor) -> None:
        """Keep rows that are worse than those kept so far."""
        with torch.no_grad():
            self._keep(x.detach(), self._mean(self.score, x.detach()))

    def _keep(self, x: Tensor, scores: Tensor) -> None:
        worse = self.sign * scores > self.sign * self.scores
        self.scores = torch.where(worse, scores, self.scores)
        self.x = torch.where(worse.reshape(-1, *(1,) * (x.ndim - 1)), x, self.x)

    def _mean(self, score: Score, x: Tensor) -> Tensor:
        values = score(x)
        for _ in range(self.samples - 1):
            values = values + score(x)
        if values.shape != (len(x),):
            raise DataError(
                f"The score has shape {tuple(values.shape)} for {len(x)} rows; return one number "
                "for each row, (N,)."
            )
        return values / self.samples


def _check(x: Tensor, sign: Tensor, begin: Tensor | None, **counts: int) -> None:
    for name, value in counts.items():
        check_whole(name, value, least=1)
    if x.ndim < 2 or not x.is_floating_point():
        raise DataError(
            f"x has shape {tuple(x.shape)} and type {x.dtype}; give rows of floating-point numbers,"
            " (N, D) or (N, C, H, W)."
        )
    if sign.shape != (len(x),) or not bool((sign.abs() == 1).all()):
        raise DataError(
            "sign must have 1 (raise the score) or -1 (lower it) for each row, "
            f"({len(x)},); it has shape {tuple(sign.shape)}."
        )
    if begin is not None and begin.shape != x.shape:
        raise DataError(
            f"begin has shape {tuple(begin.shape)}, but x has {tuple(x.shape)}; give one row for "
            "each row of x."
        )
