"""`RobustStart` and `Settle`: first and last step of a regression with wrong measurements."""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from nbam_pyro.errors import DataError
from nbam_pyro.inference.steps.run import Run
from nbam_pyro.inference.steps.step import Step
from nbam_pyro.inference.variational.objectives import ClosedObjective, weighted_mean
from nbam_pyro.models import Location, Story
from nbam_pyro.training.contexts import evaluating
from nbam_pyro.training.lightning import Task
from nbam_pyro.training.rows import Batch

# Standard deviation of a Normal divided by its median absolute deviation.
_NORMAL = 1.4826
# Each epoch has a fixed cost, so a few epochs with many passes are faster than many with one pass.
_EPOCHS = 10


@dataclass(frozen=True, kw_only=True)
class RobustStart(Step):
    """Fit the clean location by quantile regression, and start scale, rate and anomaly from it.

    If a share s of the measurements is too high, the clean ones lie below the conditional quantile
    1 - s, and their median is the quantile (1 - s) / 2. If a share s is too low, the median of the
    clean ones is the quantile (1 + s) / 2. The default recipe tries several shares on both sides,
    and the share 0 (the median), and selects one by the log marginal.

    Args:
        share: Assumed share of wrong measurements: positive if they are too high, negative if they
            are too low, and 0 if they lie on both sides.
        epochs: Number of epochs of the quantile regression.
        lr: Step size of AdamW.
        weight_decay: Weight decay of AdamW.

    Raises:
        DataError: `share` is not inside (-1, 1).
        StoryError: The story is not a `LatentSwitch` whose clean likelihood has a location and a
            scale.

    Source: The loss of quantile regression is from Koenker & Bassett (1978).
    """

    share: float = 0.0
    epochs: int = 15
    lr: float = 2e-3
    weight_decay: float = 1e-2

    def __post_init__(self) -> None:
        if not -1 < self.share < 1:
            raise DataError(f"share is {self.share}, but it must be between -1 and 1.")

    def __call__(self, run: Run) -> None:
        location = run.location("RobustStart")
        task = self.task(run.story, location, speed=run.speed)
        run.train("robust start", task, epochs=self.epochs)
        residuals = _residuals(location, run)
        with torch.no_grad():
            rate = self._set_scales(location, residuals)
        priors = {} if run.story.closed_form is None else run.story.closed_form.priors()
        if "contamination" in priors:
            run.start = {"contamination": rate.expand(priors["contamination"].shape())}
        run.guide = None

    def task(
        self, story: Story, location: Location, *, speed: float = 1.0, one_cycle: bool = False
    ) -> Task:
        """Return the training task of the clean location, with the pinball loss of a quantile.

        Args:
            story: Story whose networks are trained.
            location: Location of the story's clean likelihood.
            speed: Factor by which the step size is multiplied.
            one_cycle: Whether the step size rises and then falls.
        """
        parameters, lr = list(story.parameters()), speed * self.lr
        groups = [{"params": parameters, "lr": lr, "weight_decay": self.weight_decay}]
        return Task(
            [story],
            loss=lambda batch: self._pinball(location, batch),
            groups=groups,
            one_cycle=one_cycle,
        )

    def _pinball(self, location: Location, batch: Batch) -> Tensor:
        """Return the pinball loss of a batch, in units of the clean scale."""
        y, counted = batch.targets()
        quantile = (1 - self.share) / 2
        error = location.residual(batch.x, y) / location.unit
        values = torch.maximum(quantile * error, (quantile - 1) * error)
        return weighted_mean(torch.where(counted, values, 0.0), batch.weights)

    def _set_scales(self, location: Location, residuals: Tensor) -> Tensor:
        """Set scales and shift of the story from residuals, and return the estimated rate."""
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
    """Return the residuals of all rows, without verified rows whose clean value is unknown."""
    with torch.no_grad(), evaluating(run.story):
        batches = run.rows.loader(np.arange(len(run.rows)), 1024)
        parts = []
        for batch in batches:
            y, counted = batch.targets()
            parts.append(location.residual(batch.x, y)[counted])
        return torch.cat(parts)


@dataclass(frozen=True, kw_only=True)
class Settle(Step):
    """Fit the contamination rate and the anomaly likelihood again, with fixed networks.

    While a network is trained, dropout makes some of its residuals large. The fit then treats these
    rows as contaminated, and the clean scale is large enough to cover the other rows. In this step
    the network is in evaluation mode, and neither the network nor the clean scale changes. A clean
    scale that is larger than the noise does no harm. But a rate that includes the effects of
    dropout is wrong.

    Args:
        steps: Number of training steps, at least one epoch.
        lr: Step size of AdamW.

    Raises:
        StoryError: The story is not a `LatentSwitch` whose clean likelihood has a location and a
            scale.
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
        per_pass = math.ceil(num_data / run.options.batch_size)
        epochs = min(_EPOCHS, math.ceil(self.steps / per_pass))
        own_run = replace(run, passes=math.ceil(self.steps / (epochs * per_pass)))
        with evaluating(story):
            own_run.train("settle", module, epochs=epochs, select=False)


def _shortest_half(values: Tensor) -> Tensor:
    """Return a robust standard deviation, from the shortest interval with half of the values."""
    ordered = values.flatten().sort().values
    half = math.ceil(len(ordered) / 2)
    lengths = ordered[half - 1 :] - ordered[: len(ordered) - half + 1]
    return lengths.min() * _NORMAL / 2
