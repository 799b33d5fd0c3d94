"""`Anchors`: where a latent true label starts."""

import copy
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from sklearn.model_selection import KFold, StratifiedKFold
from torch import Tensor

from nbam_pyro.anchors import anchor_counts, anchor_start
from nbam_pyro.errors import StoryError
from nbam_pyro.inference.guides import evaluating
from nbam_pyro.inference.run import Run
from nbam_pyro.inference.steps import Step, WarmUp, clean_predictor, reinitialise
from nbam_pyro.models import LabelFlip, Story
from nbam_pyro.priors import FlipPrior


@dataclass(frozen=True, kw_only=True)
class Anchors(Step):
    """Start rates and T of a `LabelFlip` from the labels counted on its most certain rows.

    Which rows are certain is judged out of fold: copies of the story are warmed up on the other
    folds, and their predictions are averaged over epochs. Memorised labels cannot enter. Verified
    rows are counted as what they are, and say where two classes have exchanged names.

    Rates start at their posterior mean under the story's prior or, where that was left open, a
    sceptical one: the joint fit mends a start that is too low, but a mutual pair that starts near
    one half carries no information, and the network may merge the two classes.

    Args:
        folds: at least 2.
        warm_up: how each copy is trained.
        skip: epochs of the warm-up that are left out of the average.
        confident: share of the rows predicted to be of a class that serve as its anchors.
        prior: of the start; None for the story's own, or Beta(1, 9) where the story leaves it open.

    Raises:
        StoryError: the story is no `LabelFlip`.
    """

    folds: int = 5
    warm_up: WarmUp = field(default_factory=lambda: WarmUp(epochs=20))
    skip: int = 5
    confident: float = 0.7
    prior: FlipPrior | None = None

    def __call__(self, run: Run) -> None:
        if not isinstance(run.story, LabelFlip):
            raise StoryError("Anchors need a LabelFlip story: others have no flip matrix.")
        labels = run.rows.y[torch.as_tensor(run.training)]
        evidence = torch.zeros(*labels.shape, run.story.num_classes)
        for fit_on, predict in self._split(labels.numpy(), run.seed):
            story = copy.deepcopy(run.story)
            reinitialise(story)
            average = _EpochAverage(run, story, run.training[predict], self.skip)
            run.train(
                "anchors",
                self.warm_up.training(story),
                epochs=self.warm_up.epochs,
                index=run.training[fit_on],
                select=False,
                callbacks=[average],
            )
            evidence[torch.as_tensor(predict)] = average.value
        weights = run.rows.weights[torch.as_tensor(run.training)]
        each = weights.reshape(-1, *[1] * (labels.ndim - 1)).expand(labels.shape)
        verified = run.rows.verified
        counts = anchor_counts(
            evidence.flatten(end_dim=-2).log(),
            labels.flatten(),
            confident=self.confident,
            weights=each.flatten(),
            verified=None if verified is None else verified[run.training].flatten(),
        )
        prior = self.prior or run.story.prior or FlipPrior(rate=(1.0, 9.0))
        rate, flip = anchor_start(counts, prior)
        run.start = {"rate": rate, "flip": flip}
        run.guide = None

    def _split(self, labels: np.ndarray, seed: int) -> Iterable[tuple[np.ndarray, np.ndarray]]:
        folds = min(self.folds, len(labels))
        enough = np.unique(labels, return_counts=True)[1].min() >= folds
        kind = StratifiedKFold if enough and labels.ndim == 1 else KFold
        return kind(folds, shuffle=True, random_state=seed).split(labels, labels)


class _EpochAverage(Callback):
    """Predicted probabilities of some rows, averaged over the epochs after the first few."""

    def __init__(self, run: Run, story: Story, index: np.ndarray, skip: int) -> None:
        self.run, self.story, self.index, self.skip = run, story, index, skip
        self.total = torch.zeros(())
        self.count = 0

    @property
    def value(self) -> Tensor:
        return self.total / self.count

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch < min(self.skip, (trainer.max_epochs or 1) - 1):
            return
        with torch.no_grad(), evaluating(self.story):
            batches = self.run.rows.loader(self.index, 1024)
            parts = [clean_predictor(self.story, x.to(pl_module.device)).probs for x, *_ in batches]
        self.total = self.total + torch.cat(parts).cpu()
        self.count += 1
