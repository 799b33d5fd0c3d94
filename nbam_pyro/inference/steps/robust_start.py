"""`RobustStart` and `Settle`: where a regression among wrong measurements starts and ends."""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from nbam_pyro.errors import DataError
from nbam_pyro.inference.steps.basic import Step
from nbam_pyro.inference.steps.run import Run
from nbam_pyro.inference.variational.objectives import ClosedObjective, weighted_mean
from nbam_pyro.models import Location, Story
from nbam_pyro.training.contexts import evaluating
from nbam_pyro.training.lightning import Task
from nbam_pyro.training.rows import Batch

# Standard deviations of a Normal per median absolute deviation.
_NORMAL = 1.4826
# An epoch costs some time of its own, so few of many passes are quicker than many of one.
_EPOCHS = 10


@dataclass(frozen=True, kw_only=True)
class RobustStart(Step):
    """Fit the clean location by quantile regression and start scale, rate and anomaly from it.

    Where a share s of the measurements is too high, the clean ones lie below the conditional
    quantile 1 - s, and their middle is the quantile (1 - s) / 2; where it is too low, that is the
    quantile (1 + s) / 2. A fit supposes several shares on both sides, and none on either (the
    median), and lets the held-out log marginal choose (Koenker & Bassett 1978 for the loss).

    Args:
        share: what is supposed: positive for errors upwards, negative downwards, 0 for both sides.
        epochs: of the quantile regression.
        lr: step size of AdamW.
        weight_decay: of AdamW.

    Raises:
        DataError: the share is not inside (-1, 1).
        StoryError: the story is no `LatentSwitch` whose clean likelihood has a location and a
            scale.
    """

    share: float = 0.0
    epochs: int = 15
    lr: float = 2e-3
    weight_decay: float = 1e-2

    def __post_init__(self) -> None:
        if not -1 < self.share < 1:
            raise DataError(f"share is {self.share}; it lies in (-1, 1).")

    def __call__(self, run: Run) -> None:
        location = run.location("RobustStart")
        task = self.task(run.story, location, speed=run.speed)
        run.train("robust start", task, epochs=self.epochs)
        residuals = _residuals(location, run)
        with torch.no_grad():
            rate = self._start(location, residuals)
        priors = {} if run.story.closed_form is None else run.story.closed_form.priors()
        if "contamination" in priors:
            run.start = {"contamination": rate.expand(priors["contamination"].shape())}
        run.guide = None

    def task(
        self, story: Story, location: Location, *, speed: float = 1.0, one_cycle: bool = False
    ) -> Task:
        """What to train: the clean location, by its pinball loss."""
        parameters, lr = list(story.parameters()), speed * self.lr
        groups = [{"params": parameters, "lr": lr, "weight_decay": self.weight_decay}]
        return Task(
            [story],
            loss=lambda batch: self._pinball(location, batch),
            groups=groups,
            one_cycle=one_cycle,
        )

    def _pinball(self, location: Location, batch: Batch) -> Tensor:
        y, counted = batch.targets()
        quantile = (1 - self.share) / 2
        error = location.residual(batch.x, y) / location.unit
        values = torch.maximum(quantile * error, (quantile - 1) * error)
        return weighted_mean(torch.where(counted, values, 0.0), batch.weights)

    def _start(self, location: Location, residuals: Tensor) -> Tensor:
        """Set scales and shift from residuals; the rate that they suggest."""
        least = 1e-3 * location.unit
        spread = _NORMAL * (residuals - residuals.median()).abs().median()
        spread = spread.clamp_min(least)
        if not self.share:
            scale = _shortest_half(residuals).clamp_min(least)
            shift, width = torch.zeros(()), 4 * scale
            rate = (residuals.abs() > 2.5 * scale).float().mean().clamp(0.05, 0.45)
        else:
            scale = width = (1 - abs(self.share)) * spread
            shift = math.copysign(3.3, self.share) * scale
            rate = torch.tensor(abs(self.share))
        location.start(scale=scale, shift=shift, width=width)
        return rate


def _residuals(location: Location, run: Run) -> Tensor:
    with torch.no_grad(), evaluating(run.story):
        batches = run.rows.loader(np.arange(len(run.rows)), 1024)
        parts = []
        for batch in batches:
            y, counted = batch.targets()
            parts.append(location.residual(batch.x, y)[counted])
        return torch.cat(parts)


@dataclass(frozen=True, kw_only=True)
class Settle(Step):
    """Fit rate and anomaly once more, around the network as it predicts.

    While a network is trained, dropout makes some of its residuals large, which a fit takes for
    contamination; and the clean scale is as wide as all of them. Here the network is in evaluation
    mode, and it and the clean scale stay as they are: a scale that covers more than the noise is
    safe, a rate that counts what dropout did is not.

    Args:
        steps: How many steps, or one epoch where that has more.
        lr: Step size of AdamW.

    Raises:
        StoryError: The story is no `LatentSwitch`.
    """

    steps: int = 400
    lr: float = 2e-2

    def __call__(self, run: Run) -> None:
        story = run.story
        free = run.location("Settle").free_numbers(story)
        guide = run.guide_or_new()
        objective = ClosedObjective(story, guide)
        num_data = len(run.training_index)
        module = Task(
            [story, guide],
            loss=lambda batch: objective(batch, num_data),
            groups=[
                {"params": [*free, *guide.parameters()], "lr": self.lr, "weight_decay": 0.0},
            ],
            one_cycle=True,
        )
        each = math.ceil(num_data / run.options.batch_size)
        epochs = min(_EPOCHS, math.ceil(self.steps / each))
        here = replace(run, passes=math.ceil(self.steps / (epochs * each)))
        with evaluating(story):
            here.train("settle", module, epochs=epochs, select=False)


def _shortest_half(values: Tensor) -> Tensor:
    """The standard deviation of a Normal whose middle half is as short as the shortest half."""
    ordered = values.flatten().sort().values
    half = math.ceil(len(ordered) / 2)
    lengths = ordered[half - 1 :] - ordered[: len(ordered) - half + 1]
    return lengths.min() * _NORMAL / 2
