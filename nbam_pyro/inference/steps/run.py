"""`Run`: the state of a fit, which the steps of the fit change in order."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from pyro.infer.autoguide import AutoNormal
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from nbam_pyro import functional as nf
from nbam_pyro.errors import StoryError
from nbam_pyro.inference.steps.attempts import Attempt
from nbam_pyro.inference.steps.evidence import Evidence
from nbam_pyro.inference.variational.enumeration import log_joint
from nbam_pyro.inference.variational.guides import Draw, guide_median, make_guide
from nbam_pyro.inference.variational.objectives import weighted_mean
from nbam_pyro.inference.variational.peak import Peak
from nbam_pyro.models import LatentLabelStory, Location, Story
from nbam_pyro.training.contexts import evaluating
from nbam_pyro.training.devices import agreed, gathered, part_of
from nbam_pyro.training.rows import Batch, Rows
from nbam_pyro.training.tensors import precision_of
from nbam_pyro.verified import NOTHING

if TYPE_CHECKING:
    from lightning.pytorch import Callback

    from nbam_pyro.training.lightning import Options, Task

# `Spread` needs at most this many training steps per epoch, so its batches may be large.
SPREAD_STEPS = 20
# Gains are clipped to this many standard errors, so that they are finite in saved reports.
_LARGEST_GAIN = 1e6


@dataclass
class Run:
    """The state of a fit. `fit` creates it, and each step of the recipe changes it.

    Attributes:
        story: Story, which is fitted in place.
        rows: All rows of the data.
        training_index: Indices of the rows that networks are trained on.
        held_out_index: Indices of the noisy rows that are used only to select epochs and restarts.
        drawn: Whether `held_out_index` was drawn at random. False if the caller has chosen it.
        closed: Whether the objective is the closed form of the story.
        options: Options of every Lightning run.
        seed: Seed for folds and for the steps' random choices.
        family: Family of the guide, the argument `guide` of `fit`.
        n_jobs: Number of processes for independent parts of the fit, as in `fit`.
        guide: Posterior of the global latents. None until the first step that needs a guide creates
            it.
        start: Starting values of the guide's locations, by site name.
        cross_fitted: Log probabilities of true labels, predicted out of fold (by networks that did
            not see the row's label). `CrossFit` sets them; they are None before. `Recount` adds the
            fitted network to them.
        out_of_fold: The same, but by copies alone. `CrossFit` and `Distil` set them.
        plain: Log probabilities of the observed labels of the training rows, predicted out of fold.
            `CrossFit` sets them.
        attempts: Results of `CrossFit` from each start that was not discarded early.
        undecided: Transition matrices of discarded starts that were not clearly worse than the
            best, estimated on the first fold. Each matrix is (K, K).
        peaks: Modes of the posterior of the global latents that `Explore` found.
        widening: Function that returns the factor by which unknown switches widen the posterior of
            the clean means. `Explore` sets it; it is None before.
        history: One record for each epoch of every Lightning run.
        device: Device that Lightning trained on last. Modules are on the CPU between runs.
        passes: Number of passes over the rows in every epoch. `Pace` sets it.
        speed: Factor by which all steps multiply the step sizes of networks. `Pace` sets it.
        spent: Cost of all Lightning runs so far, in epochs of all training rows.
    """

    story: Story
    rows: Rows
    training_index: np.ndarray
    held_out_index: np.ndarray
    drawn: bool
    closed: bool
    options: "Options"
    seed: int
    family: Callable[..., nn.Module] = AutoNormal
    n_jobs: int | None = None
    guide: nn.Module | None = None
    start: Draw = field(default_factory=dict)
    cross_fitted: Evidence | None = None
    out_of_fold: Evidence | None = None
    plain: Evidence | None = None
    attempts: list[Attempt] = field(default_factory=list)
    undecided: list[Tensor] = field(default_factory=list)
    peaks: list[Peak] = field(default_factory=list)
    widening: Callable[[], float] | None = None
    history: list[dict[str, Any]] = field(default_factory=list)
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    passes: int = 1
    speed: float = 1.0
    spent: float = 0.0

    @property
    def gain(self) -> float | None:
        """`CollapseReport.gain` of the best attempt; None if there were no attempts."""
        gains = [attempt.gain_over_frequencies() for attempt in self.attempts]
        return float(np.clip(max(gains), -_LARGEST_GAIN, _LARGEST_GAIN)) if gains else None

    def predict(
        self, story: LatentLabelStory, index: np.ndarray, of: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """Return the outputs of a story in evaluation mode for some rows, on the CPU.

        Args:
            story: Story that predicts. Its parameters move to the run's device and back again.
            index: Indices of the rows.
            of: Function that takes x of a batch, (n, *input), and returns one output per row,
                (n, ...).
        """
        if not len(index):
            return torch.zeros(
                0, *self.rows.y.shape[1:], story.num_classes, dtype=precision_of(story)
            )
        part = part_of(self.options.trainer)
        own = index[part.place :: part.total]
        with torch.no_grad(), evaluating(story, self.device):
            batches = self.rows.near(self.device).loader(own, 1024)
            outputs = [of(batch.x.to(self.device)).cpu() for batch in batches]
        return gathered(torch.cat(outputs), part)

    def latent_label(self, step: str) -> LatentLabelStory:
        """Return the story if it has a latent true label.

        Args:
            step: Name of the step that calls this method, for the error message.

        Raises:
            StoryError: The story has no latent true label.
        """
        if self.story.latent_label is None:
            raise StoryError(
                f"{step} needs a story with a latent true label, such as LabelFlip, but "
                f"{type(self.story).__name__} has none."
            )
        return self.story.latent_label

    def location(self, step: str) -> Location:
        """Return the location of the story's clean likelihood.

        Args:
            step: Name of the step that calls this method, for the error message.

        Raises:
            StoryError: The story's clean likelihood has no location and scale.
        """
        if self.story.location is None:
            raise StoryError(
                f"{step} needs a LatentSwitch whose clean likelihood has a location and a scale, "
                f"but this {type(self.story).__name__} has none."
            )
        return self.story.location

    def judge(self, index: np.ndarray) -> tuple[float, float]:
        """Return the mean negative log marginal and the mean responsibility of some rows.

        The responsibility of a row is the probability that its target is wrong, P(z=1 | x, y).

        Args:
            index: Indices of the rows.
        """
        loss = contamination = 0.0
        with torch.no_grad(), evaluating(self.story):
            for batch in self.rows.loader(index, 1024):
                pair = self._pair(batch)
                share = len(batch[0]) / len(index)
                loss -= share * float(weighted_mean(nf.log_marginal(*pair), batch[2]))
                contamination += share * float(nf.responsibility(*pair).mean())
        return agreed((loss, contamination), part_of(self.options.trainer))

    def exchanged(self) -> bool:
        """Return whether most rows are contaminated and the verified rows do not confirm it.

        The mean responsibility of all rows is then above one half, and the fit infers at most half
        of the verified switches correctly from x and y alone.
        """
        if self.judge(np.arange(len(self.rows)))[1] <= 0.5:
            return False
        verified, index = self.rows.verified, self.rows.looked_at
        if not len(verified):
            return True
        with torch.no_grad(), evaluating(self.story):
            batches = self.rows.loader(index, 1024)
            without = [self._pair(batch._replace(verified=NOTHING)) for batch in batches]
        r = torch.cat([nf.responsibility(*pair) for pair in without])
        y = self.story.per_switch(self.rows.y[index])
        return verified[index].accuracy(r, y) <= 0.5

    def negative_log_marginal(self, batch: Batch) -> Tensor:
        """Return the weighted mean negative log marginal of a batch at the guide's median."""
        return -weighted_mean(nf.log_marginal(*self._pair(batch)), batch[2])

    def _pair(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the clean and the contaminated log joint of a batch at the guide's median."""
        x, y, _, verified = batch
        return log_joint(self.story, x, y, guide_median(self.guide_or_new()), verified=verified)

    def guide_or_new(self) -> nn.Module:
        """Return the guide; if there is none yet, create it from the starting values first."""
        if self.guide is None:
            few = self.rows.first(8)
            self.guide = make_guide(self.story, few.x, few.y, family=self.family, start=self.start)
        return self.guide

    def of_evidence(self, evidence: Evidence) -> "Run":
        """Return a run with the same guide and history on rows that are log probabilities.

        Args:
            evidence: Log probabilities of true labels, which become x of the new rows.
        """
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
        module: "Task",
        *,
        epochs: int,
        index: np.ndarray | None = None,
        select: bool = True,
        patience: int | None = None,
        callbacks: "Sequence[Callback]" = (),
    ) -> None:
        """Train modules with Lightning, and add the epochs to the history and to the cost.

        Args:
            step: Name of the step in the history.
            module: Modules to train, with their loss and optimiser.
            epochs: Largest number of epochs.
            index: Indices of the rows to train on; None for all training rows.
            select: Whether the epoch with the lowest loss on the held-out rows is kept.
            patience: Number of epochs without improvement after which training stops; None for
                no early stopping.
            callbacks: Callbacks for Lightning.
        """
        from nbam_pyro.training.lightning import train

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
