"""The state that the steps of a fit pass on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback
from pyro.infer.autoguide import AutoNormal
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from nbam_pyro import functional as nf
from nbam_pyro.errors import StoryError
from nbam_pyro.inference.diagnostics.collapse import verified_accuracy
from nbam_pyro.inference.steps.attempts import Attempt
from nbam_pyro.inference.steps.evidence import Evidence
from nbam_pyro.inference.variational.enumeration import log_joint
from nbam_pyro.inference.variational.guides import Draw, guide_median, make_guide
from nbam_pyro.inference.variational.objectives import weighted_mean
from nbam_pyro.models import LatentLabelStory, Location, Story
from nbam_pyro.training.contexts import evaluating
from nbam_pyro.training.lightning import Options, Task, train
from nbam_pyro.training.rows import Batch, Rows
from nbam_pyro.training.tensors import precision_of
from nbam_pyro.verified import NOTHING

# Steps of an epoch that the spread of a posterior needs at most: batches may be as large as that.
SPREAD_STEPS = 20


@dataclass
class Run:
    """The state that steps pass on.

    Attributes:
        story: what is fitted, in place.
        rows: all rows.
        training_index: indices of the rows trained on.
        held_out_index: indices of the noisy rows that only select.
        drawn: whether `held_out_index` was drawn at random; otherwise somebody has chosen it.
        closed: whether the objective is the closed form.
        options: of every Lightning run.
        seed: of the folds.
        family: of the guide.
        guide: posterior of the global latents; made by the first `Joint` where it is None.
        start: where the guide's locations start, from `CrossFit` or `RobustStart`.
        cross_fitted: log probabilities of true labels out of fold, from `CrossFit`.
        attempts: what it came to from each start that was not given up early.
        undecided: M on the first fold from starts given up though not clearly worse, (K, K) each.
        history: one record per epoch of every Lightning run.
        device: where Lightning trained last; modules are on the CPU between runs.
        passes: how many times an epoch passes over the rows, from `Pace`.
        speed: what step sizes of networks are multiplied by, from `Pace`.
        spent: what all Lightning runs on networks have cost, in epochs of all training rows.
    """

    story: Story
    rows: Rows
    training_index: np.ndarray
    held_out_index: np.ndarray
    drawn: bool
    closed: bool
    options: Options
    seed: int
    family: Callable[..., nn.Module] = AutoNormal
    guide: nn.Module | None = None
    start: Draw = field(default_factory=dict)
    cross_fitted: Evidence | None = None
    attempts: list[Attempt] = field(default_factory=list)
    undecided: list[Tensor] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    passes: int = 1
    speed: float = 1.0
    spent: float = 0.0

    def predict(
        self, story: LatentLabelStory, index: np.ndarray, of: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """What a story in evaluation mode says of some rows, on the CPU.

        Args:
            story: its parameters may be elsewhere than the run's device, and stay there.
            index: of the rows.
            of: called with x of a few rows, (n, *input), returns one line for each of them.
        """
        if not len(index):
            return torch.zeros(
                0, *self.rows.y.shape[1:], story.num_classes, dtype=precision_of(story)
            )
        with torch.no_grad(), evaluating(story, self.device):
            batches = self.rows.near(self.device).loader(index, 1024)
            return torch.cat([of(batch.x.to(self.device)).cpu() for batch in batches])

    def latent_label(self, step: str) -> LatentLabelStory:
        """The story, if it has a latent true label.

        Args:
            step: Name of the step that needs one, for the message.

        Raises:
            StoryError: The story has no latent true label.
        """
        if self.story.latent_label is None:
            raise StoryError(
                f"{step} needs a story with a latent true label, such as LabelFlip; "
                f"{type(self.story).__name__} has none."
            )
        return self.story.latent_label

    def location(self, step: str) -> Location:
        """Where clean measurements lie, if the story has a location.

        Args:
            step: Name of the step that needs it, for the message.

        Raises:
            StoryError: The story has no location and scale.
        """
        if self.story.location is None:
            raise StoryError(
                f"{step} needs a LatentSwitch whose clean likelihood has a location and a scale; "
                f"{type(self.story).__name__} has none."
            )
        return self.story.location

    def judge(self, index: np.ndarray) -> tuple[float, float]:
        """Mean negative log marginal and mean responsibility of some rows."""
        loss = contamination = 0.0
        with torch.no_grad(), evaluating(self.story):
            for batch in self.rows.loader(index, 1024):
                pair = self._pair(batch)
                share = len(batch[0]) / len(index)
                loss -= share * float(weighted_mean(nf.log_marginal(*pair), batch[2]))
                contamination += share * float(nf.responsibility(*pair).mean())
        return loss, contamination

    def exchanged(self) -> bool:
        """Whether most rows count as contaminated, and verified rows do not bear that out."""
        if self.judge(np.arange(len(self.rows)))[1] <= 0.5:
            return False
        verified, index = self.rows.verified, self.rows.looked_at
        if not len(verified):
            return True
        with torch.no_grad(), evaluating(self.story):
            batches = self.rows.loader(index, 1024)
            unaided = [self._pair(batch._replace(verified=NOTHING)) for batch in batches]
        r = torch.cat([nf.responsibility(*pair) for pair in unaided])
        return verified_accuracy(r.numpy(), verified.switch(self.rows.y)[index].numpy()) <= 0.5

    def negative_log_marginal(self, batch: Batch) -> Tensor:
        """Weighted mean negative log marginal of a batch at the guide's median."""
        return -weighted_mean(nf.log_marginal(*self._pair(batch)), batch[2])

    def _pair(self, batch: Batch) -> tuple[Tensor, Tensor]:
        x, y, _, verified = batch
        return log_joint(self.story, x, y, guide_median(self.guide_or_new()), verified=verified)

    def guide_or_new(self) -> nn.Module:
        """The guide, made from the starting values where there is none yet."""
        if self.guide is None:
            few = self.rows.first(8)
            self.guide = make_guide(self.story, few.x, few.y, family=self.family, start=self.start)
        return self.guide

    def of_evidence(self, evidence: Evidence) -> "Run":
        """A run on the same guide and history whose rows are log probabilities of true labels."""
        rows = Rows(
            TensorDataset(evidence.log_probs, evidence.labels),
            evidence.labels,
            evidence.weights,
            evidence.verified,
        )
        index = np.arange(len(rows))
        size = max(self.options.batch_size, len(rows) // SPREAD_STEPS)
        options = replace(self.options, batch_size=size)
        return replace(
            self,
            story=self.latent_label("Spread").of_predictions(),
            rows=rows,
            training_index=index,
            held_out_index=index[:0],
            options=options,
            passes=1,
        )

    def train(
        self,
        step: str,
        module: Task,
        *,
        epochs: int,
        index: np.ndarray | None = None,
        select: bool = True,
        patience: int | None = None,
        callbacks: Sequence[Callback] = (),
    ) -> None:
        """One Lightning run on the training rows, or some of them, and its share of history."""
        rows = self.training_index if index is None else index
        records, self.device = train(
            module,
            self.rows,
            rows,
            self.held_out_index if select else self.held_out_index[:0],
            epochs=epochs,
            options=self.options,
            label=step,
            passes=self.passes,
            patience=patience,
            callbacks=callbacks,
        )
        self.history += [{"step": step, **record} for record in records]
        self.spent += len(records) * len(rows) / len(self.training_index)
