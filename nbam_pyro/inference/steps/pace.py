"""`Pace`: step size and passes per epoch at which a network learns from few rows."""

import copy
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from nbam_pyro.errors import StoryError
from nbam_pyro.inference.steps.attempts import mean_in_errors
from nbam_pyro.inference.steps.basic import Step, WarmUp, reinitialise
from nbam_pyro.inference.steps.robust_start import RobustStart
from nbam_pyro.inference.steps.run import Run
from nbam_pyro.models import Location, Story
from nbam_pyro.training.contexts import evaluating
from nbam_pyro.training.folds import split
from nbam_pyro.training.lightning import Task, train
from nbam_pyro.training.rows import Batch

# Trials of so many steps are long enough for a network that has learned something by then.
_ENOUGH = 200
# Longer trials than these are not made, whatever has been learned.
_MOST = 700
# Step sizes are multiplied by this from trial to trial, so many times.
_FASTER, _TIMES = 4.0, 2
# A trial is preferred to a cheaper one where it lowers the held-out loss by so much, as a share of
# the trivial prediction's.
_WORTH = 0.03
# A network has learned something where it beats the trivial prediction by so many standard errors.
_CLEARLY = 2.0
# Fewer rows held out than these do not tell trials apart: then all three thirds are.
_ROWS = 100


@dataclass(frozen=True, kw_only=True)
class Pace(Step):
    """Find step size and passes per epoch at which a network learns from few rows.

    An epoch of 125 rows has two steps of 64, and networks differ in how many steps they need: a
    linear layer hardly moves in a hundred. Copies of the story are trained on two thirds of the
    rows as if nothing were contaminated: with the usual step size, with four and with sixteen times
    that, and then with two, four, ... passes over the rows in every epoch. What clearly lowers the
    loss of the other third is kept, and all later steps of the run go on at that pace.

    Trials of more than two hundred steps are made only if the network has not learned anything by
    then, and trials of more than 700 steps never. Where the usual pace is best, the run goes on
    with the same random numbers as without this step.

    A story with a location is trained by the absolute error of it, any other one by the likelihood
    of its clean predictor.

    Args:
        epochs: Epochs of each trial.
        lr: Step size of AdamW.
        weight_decay: Weight decay of AdamW.

    Raises:
        StoryError: The story does not declare a clean predictor.
    """

    epochs: int = 20
    lr: float = 2e-3
    weight_decay: float = 1e-2

    def __call__(self, run: Run) -> None:
        trials = _Trials(self, run, _Labels() if run.story.location is None else _Measurements())
        best = usual = trials.at(1.0, 1)
        if trials.steps >= _ENOUGH and trials.learned(usual):
            return
        for power in range(1, _TIMES + 1):
            faster = trials.at(_FASTER**power, 1)
            if not trials.better(faster, best):
                break
            best = faster
        passes = 2 if trials.learned(best) else 4
        while passes * trials.steps <= (_ENOUGH if trials.learned(best) else _MOST):
            longer = trials.at(best.speed, passes)
            if trials.better(longer, best):
                best = longer
            elif trials.learned(best):
                break
            passes *= 2 if trials.learned(best) else 4
        run.speed, run.passes = best.speed, best.passes


class _Trial(NamedTuple):
    speed: float
    passes: int
    losses: Tensor


class _Trials:
    """Trials of one story on the same thirds of the rows, from the same random numbers."""

    def __init__(self, step: Pace, run: Run, losses: "_Losses") -> None:
        self.step, self.run, self.losses = step, run, losses
        y = run.rows.y[torch.as_tensor(run.training_index)]
        thirds = [
            (run.training_index[others], run.training_index[own])
            for others, own in split(y.numpy(), min(3, len(y)), seed=run.seed)
        ]
        self.thirds = thirds[:1] if len(thirds[0][1]) >= _ROWS else thirds
        targets = run.rows.y
        self.trivial = torch.cat([losses.trivial(targets[a], targets[b]) for a, b in self.thirds])
        self.steps = step.epochs * math.ceil(len(thirds[0][0]) / run.options.batch_size)

    def at(self, speed: float, passes: int) -> _Trial:
        """Losses of the rows held out at a pace."""
        random = torch.get_rng_state()
        losses = []
        for number, third in enumerate(self.thirds):
            # The same weights in every trial.
            torch.default_generator.manual_seed(self.run.seed + number)
            losses.append(self._third(*third, speed, passes))
        torch.set_rng_state(random)
        return _Trial(speed, passes, torch.cat(losses))

    def _third(self, others: np.ndarray, own: np.ndarray, speed: float, passes: int) -> Tensor:
        story = copy.deepcopy(self.run.story)
        reinitialise(story)
        train(
            self.losses.task(story, speed * self.step.lr, self.step.weight_decay),
            self.run.rows,
            others,
            own[:0],
            epochs=self.step.epochs,
            options=self.run.options,
            label="pace",
            passes=passes,
        )
        with torch.no_grad(), evaluating(story):
            batches = self.run.rows.loader(own, 1024)
            return torch.cat([self.losses.of(story, batch) for batch in batches])

    def better(self, one: _Trial, other: _Trial) -> bool:
        """Whether a trial has a clearly lower loss than another."""
        return bool((other.losses - one.losses).mean() > _WORTH * self.trivial.mean())

    def learned(self, trial: _Trial) -> bool:
        """Whether a trial beats the trivial prediction."""
        return mean_in_errors(self.trivial - trial.losses) > _CLEARLY


class _Losses(ABC):
    """How well a story predicts targets as if none were contaminated."""

    @abstractmethod
    def task(self, story: Story, lr: float, weight_decay: float) -> Task:
        """What to train."""

    @abstractmethod
    def of(self, story: Story, batch: Batch) -> Tensor:
        """Loss of every row, (n,)."""

    @abstractmethod
    def trivial(self, others: Tensor, own: Tensor) -> Tensor:
        """Loss of every row predicted from the targets of others, whatever its features, (n,)."""


class _Labels(_Losses):
    def task(self, story: Story, lr: float, weight_decay: float) -> Task:
        return WarmUp(lr=lr, weight_decay=weight_decay, one_cycle=True).task(story)

    def of(self, story: Story, batch: Batch) -> Tensor:
        log_probs = story.initial_predictor(batch.x).log_prob(batch.y)
        return -log_probs.reshape(len(batch.y), -1).mean(1)

    def trivial(self, others: Tensor, own: Tensor) -> Tensor:
        counts = torch.bincount(others.flatten(), minlength=int(own.max()) + 1) + 1.0
        return -(counts / counts.sum()).log()[own].reshape(len(own), -1).mean(1)


class _Measurements(_Losses):
    def task(self, story: Story, lr: float, weight_decay: float) -> Task:
        robust = RobustStart(lr=lr, weight_decay=weight_decay)
        return robust.task(story, _location(story), one_cycle=True)

    def of(self, story: Story, batch: Batch) -> Tensor:
        return _location(story).residual(batch.x, batch.y).abs()

    def trivial(self, others: Tensor, own: Tensor) -> Tensor:
        return (own - others.median()).abs()


def _location(story: Story) -> Location:
    if story.location is None:
        raise StoryError(f"{type(story).__name__} has no location.")
    return story.location
