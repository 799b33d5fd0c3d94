"""`Pace`: find the step size and the passes per epoch at which a network learns from few rows."""

import copy
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from nbam_pyro.errors import StoryError
from nbam_pyro.inference.steps.robust_start import RobustStart
from nbam_pyro.inference.steps.run import Run
from nbam_pyro.inference.steps.step import Step, reinitialise
from nbam_pyro.inference.steps.warm_up import WarmUp
from nbam_pyro.models import Location, Story
from nbam_pyro.outputs.gains import mean_in_standard_errors
from nbam_pyro.training.contexts import evaluating
from nbam_pyro.training.devices import agreed, part_of
from nbam_pyro.training.folds import split
from nbam_pyro.training.lightning import Task, train
from nbam_pyro.training.rows import Batch

# A trial of this many training steps is long enough for a network that has learned something.
_ENOUGH = 200
# No trial has more training steps than this.
_MOST = 700
# The step size is multiplied by _FASTER, up to _TIMES times.
_FASTER, _TIMES = 4.0, 2
# A trial is better than a cheaper one if its held-out loss is lower by more than this share of the
# loss of the trivial prediction.
_WORTH = 0.03
# A network has learned something if its loss is lower than that of the trivial prediction by more
# than this many standard errors.
_CLEARLY = 2.0
# If a third has fewer rows than this, all three thirds are held out in turn.
_ROWS = 100


@dataclass(frozen=True, kw_only=True)
class Pace(Step):
    """Find the step size and the passes per epoch at which a network learns from few rows.

    An epoch of 125 rows has only two training steps with batches of 64 rows, and networks need
    different numbers of steps. For example, a linear layer hardly changes in a hundred steps. This
    step runs *trials*: it trains copies of the story on two thirds of the rows, as if nothing were
    contaminated. The first trials use 1, 4 and 16 times the usual step size. Further trials make
    two, four, ... passes over the rows in every epoch. The step size and the number of passes with
    a clearly lower loss on the remaining third are kept, and all later steps of the run use them.
    If no trial is better than the prediction that ignores x, as with targets that are mostly
    contaminated, the largest step size whose loss is not clearly higher is kept: a network that is
    trained for too short a time has no better loss either.

    A trial has more than two hundred training steps only if the network has not learned anything by
    then, and never more than 700. If the usual step size and one pass are best, the run continues
    with the same random numbers as without this step.

    The loss is the absolute error for a story whose clean likelihood has a location, and the
    negative log likelihood of the clean predictor for any other story.

    Args:
        epochs: Number of epochs of each trial.
        lr: Step size of AdamW.
        weight_decay: Weight decay of AdamW.

    Raises:
        StoryError: Targets are measurements and the clean likelihood has no location, or the story
            does not declare a clean predictor.
    """

    epochs: int = 20
    lr: float = 2e-3
    weight_decay: float = 1e-2

    def __call__(self, run: Run) -> None:
        trials = _Trials(self, run, _losses(run))
        best = usual = trials.trial(1.0, 1)
        if trials.steps >= _ENOUGH and trials.learned(usual):
            return
        for power in range(1, _TIMES + 1):
            faster = trials.trial(_FASTER**power, 1)
            if not trials.better(faster, best):
                break
            best = faster
        passes = 2 if trials.learned(best) else 4
        while passes * trials.steps <= (_ENOUGH if trials.learned(best) else _MOST):
            longer = trials.trial(best.speed, passes)
            if trials.better(longer, best):
                best = longer
            elif trials.learned(best):
                break
            passes *= 2 if trials.learned(best) else 4
        if best is usual and not trials.learned(best):
            best = self._fastest(trials, usual)
        run.speed, run.passes = best.speed, best.passes

    def _fastest(self, trials: "_Trials", usual: "_Trial") -> "_Trial":
        """Return the trial with the largest step size that is not clearly worse than the usual."""
        for power in range(_TIMES, 0, -1):
            faster = trials.trial(_FASTER**power, 1)
            if not trials.better(usual, faster):
                return faster
        return usual


class _Trial(NamedTuple):
    """Result of a trial: factor of the step size, passes per epoch, and losses of held-out rows."""

    speed: float
    passes: int
    losses: Tensor


class _Trials:
    """Trials of one story on the same thirds of the rows and with the same random numbers.

    Args:
        step: Settings of the trials.
        run: State of the fit.
        losses: Loss by which the trials are trained and compared.
    """

    def __init__(self, step: Pace, run: Run, losses: "_Losses") -> None:
        self.step, self.run, self.losses = step, run, losses
        y = run.rows.y[torch.as_tensor(run.training_index)]
        groups = run.rows.groups_of(run.training_index)
        thirds = [
            (run.training_index[trained], run.training_index[held_out])
            for trained, held_out in split(y.numpy(), min(3, len(y)), seed=run.seed, groups=groups)
        ]
        self.thirds = thirds[:1] if len(thirds[0][1]) >= _ROWS else thirds
        targets = run.rows.y
        self.trivial = torch.cat([losses.trivial(targets[a], targets[b]) for a, b in self.thirds])
        self.steps = step.epochs * math.ceil(len(thirds[0][0]) / run.options.batch_size)

    def trial(self, speed: float, passes: int) -> _Trial:
        """Train copies of the story and return their losses on the held-out thirds.

        Args:
            speed: Factor by which the step size is multiplied.
            passes: Number of passes over the rows in every epoch.
        """
        random = torch.get_rng_state()
        losses = []
        for number, third in enumerate(self.thirds):
            # The same weights in every trial.
            torch.default_generator.manual_seed(self.run.seed + number)
            losses.append(self._losses_of_third(*third, speed, passes))
        torch.set_rng_state(random)
        shared = agreed(torch.cat(losses), part_of(self.run.options.trainer))
        return _Trial(speed, passes, shared)

    def _losses_of_third(
        self, trained: np.ndarray, held_out: np.ndarray, speed: float, passes: int
    ) -> Tensor:
        """Train a copy on some rows, and return its losses on the held-out rows, (n,)."""
        story = copy.deepcopy(self.run.story)
        reinitialise(story)
        train(
            self.losses.task(story, speed * self.step.lr, self.step.weight_decay),
            self.run.rows,
            trained,
            held_out[:0],
            epochs=self.step.epochs,
            options=self.run.options,
            label="pace",
            passes=passes,
        )
        with torch.no_grad(), evaluating(story):
            batches = self.run.rows.loader(held_out, 1024)
            return torch.cat([self.losses.of(story, batch) for batch in batches])

    def better(self, one: _Trial, other: _Trial) -> bool:
        """Return whether a trial has a clearly lower loss than another."""
        return bool((other.losses - one.losses).mean() > _WORTH * self.trivial.mean())

    def learned(self, trial: _Trial) -> bool:
        """Return whether a trial has a clearly lower loss than the trivial prediction."""
        return mean_in_standard_errors(self.trivial - trial.losses) > _CLEARLY


class _Losses(ABC):
    """Loss of a story that is trained as if no target were contaminated."""

    @abstractmethod
    def task(self, story: Story, lr: float, weight_decay: float) -> Task:
        """Return the training task.

        Args:
            story: Story to train.
            lr: Step size of AdamW.
            weight_decay: Weight decay of AdamW.
        """

    @abstractmethod
    def of(self, story: Story, batch: Batch) -> Tensor:
        """Return the loss of every row of a batch, (n,)."""

    @abstractmethod
    def trivial(self, trained: Tensor, held_out: Tensor) -> Tensor:
        """Return the loss of a prediction that does not depend on x, (n,).

        Args:
            trained: Targets that give the prediction: their frequencies, or their median.
            held_out: Targets to predict, (n, *dims).
        """


class _Labels(_Losses):
    """Cross-entropy of labels."""

    def task(self, story: Story, lr: float, weight_decay: float) -> Task:
        return WarmUp(lr=lr, weight_decay=weight_decay, one_cycle=True).task(story)

    def of(self, story: Story, batch: Batch) -> Tensor:
        log_probs = story.initial_predictor(batch.x).log_prob(batch.y)
        return -log_probs.reshape(len(batch.y), -1).mean(1)

    def trivial(self, trained: Tensor, held_out: Tensor) -> Tensor:
        counts = torch.bincount(trained.flatten(), minlength=int(held_out.max()) + 1) + 1.0
        return -(counts / counts.sum()).log()[held_out].reshape(len(held_out), -1).mean(1)


class _Measurements(_Losses):
    """Absolute error of the clean location."""

    def task(self, story: Story, lr: float, weight_decay: float) -> Task:
        robust = RobustStart(lr=lr, weight_decay=weight_decay)
        return robust.task(story, _location(story), one_cycle=True)

    def of(self, story: Story, batch: Batch) -> Tensor:
        return _location(story).residual(batch.x, batch.y).abs()

    def trivial(self, trained: Tensor, held_out: Tensor) -> Tensor:
        return (held_out - trained.median()).abs()


def _losses(run: Run) -> _Losses:
    """Return the loss for the story of a run, and raise a `StoryError` if there is none."""
    if run.story.location is not None:
        return _Measurements()
    if run.rows.y.is_floating_point():
        raise StoryError(
            "Pace is for labels, and for measurements whose clean likelihood has a location and a "
            f"scale. The targets are measurements, and {type(run.story).__name__} has no such "
            "likelihood. Remove the Pace step."
        )
    return _Labels()


def _location(story: Story) -> Location:
    """Return the location of a story, and raise a `StoryError` if it has none."""
    if story.location is None:
        raise StoryError(f"{type(story).__name__} has no clean likelihood with a location.")
    return story.location
