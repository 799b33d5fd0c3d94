"""`WarmUp`: train the clean predictor as if only verified rows could be contaminated."""

from dataclasses import dataclass

import torch
from torch import Tensor

from nbam_pyro.errors import StoryError
from nbam_pyro.inference.steps.run import Run
from nbam_pyro.inference.steps.step import Step
from nbam_pyro.inference.variational.objectives import weighted_mean
from nbam_pyro.models import Story
from nbam_pyro.training.lightning import Task
from nbam_pyro.training.rows import Batch


@dataclass(frozen=True, kw_only=True)
class WarmUp(Step):
    """Train the clean predictor as if no row were contaminated except verified ones.

    A verified true label replaces the observed label. A row that is verified as contaminated, and
    whose true label is unknown, is left out. The epoch with the lowest loss on the noisy held-out
    rows is kept.

    Args:
        epochs: Number of epochs.
        lr: Step size of AdamW.
        weight_decay: Weight decay of AdamW.
        one_cycle: Whether the step size rises to `lr` and then falls to 0 (one-cycle schedule).

    Raises:
        StoryError: The story has no network, or it has no closed form and therefore no declared
            predictor.
    """

    epochs: int = 5
    lr: float = 2e-3
    weight_decay: float = 1e-2
    one_cycle: bool = False

    def __call__(self, run: Run) -> None:
        run.train("warm-up", self.task(run.story, speed=run.speed), epochs=self.epochs)

    def task(self, story: Story, *, speed: float = 1.0) -> Task:
        """Return the training task of the clean predictor.

        The loss is its negative log likelihood, which is cross-entropy for labels.

        Args:
            story: Story whose networks are trained.
            speed: Factor by which the step size is multiplied.

        Raises:
            StoryError: The story has no network.
        """

        def loss(batch: Batch) -> Tensor:
            y, counted = batch.targets()
            values = story.initial_predictor(batch.x).log_prob(y)
            return -weighted_mean(
                torch.where(story.per_switch(counted), values, 0.0), batch.weights
            )

        parameters = list(story.parameters())
        if not parameters:
            raise StoryError(
                f"WarmUp needs networks to train, but {type(story).__name__} has none. Remove the "
                "WarmUp step."
            )
        lr = speed * self.lr
        groups = [{"params": parameters, "lr": lr, "weight_decay": self.weight_decay}]
        return Task([story], loss=loss, groups=groups, one_cycle=self.one_cycle)
