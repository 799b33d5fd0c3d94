"""Copies of a story that are trained on some folds and predict the remaining fold."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from nbam_pyro.inference.steps.run import Run
from nbam_pyro.inference.steps.step import reinitialise
from nbam_pyro.models import LatentLabelStory
from nbam_pyro.training.folds import split
from nbam_pyro.training.tensors import precision_of


@dataclass(frozen=True)
class Copy:
    """A copy of the story for one fold.

    Attributes:
        story: Copy of the story.
        training_index: Indices of the rows of the other folds, which the copy is fitted to.
        predicted_index: Indices of the rows of this fold, which the copy predicts.
    """

    story: LatentLabelStory
    training_index: np.ndarray
    predicted_index: np.ndarray

    def again(self) -> "Copy":
        """Return another copy with the same weights, which can be trained further."""
        return replace(self, story=copy.deepcopy(self.story))

    def fresh(self) -> "Copy":
        """Return another copy with new random weights."""
        one = self.again()
        reinitialise(one.story)
        return one


def copies(run: Run, story: LatentLabelStory, folds: int, *, seed: int | None = None) -> list[Copy]:
    """Return the folds of the training rows, each with the story itself.

    Args:
        run: State of the fit.
        story: Story that `Copy.fresh` copies.
        folds: Number of folds; at most one fold for each training row, or each group of rows.
        seed: Seed of the folds; None for that of the fit.
    """
    seed = run.seed if seed is None else seed
    labels = run.rows.y[torch.as_tensor(run.training_index)].numpy()
    groups = run.rows.groups_of(run.training_index)
    return [
        Copy(story, run.training_index[others], run.training_index[own])
        for others, own in split(labels, min(folds, len(labels)), seed=seed, groups=groups)
    ]


class Predicted(NamedTuple):
    """Class probabilities that a copy predicts.

    Attributes:
        own: Those of the rows of its fold, (n, *dims, K).
        held_out: Those of the held-out rows, (m, *dims, K).
    """

    own: Tensor
    held_out: Tensor

    @classmethod
    def by(cls, one: Copy, run: Run) -> "Predicted":
        """Return the predictions of a copy."""
        own = class_probs(run, one.story, one.predicted_index)
        return cls(own, class_probs(run, one.story, run.held_out_index))


def joined(run: Run, folds: Sequence[Copy], predicted: Sequence[Predicted]) -> Tensor:
    """Return the class probabilities of all rows, (N, *dims, K).

    Those of a held-out row are the mean over copies. Rows of folds that are not given are 0.

    Args:
        run: State of the fit.
        folds: Copies of the story.
        predicted: Predictions of each copy.
    """
    probs = empty_probs(run)
    for fold, one in zip(folds, predicted, strict=True):
        probs[fold.predicted_index] = one.own
        probs[run.held_out_index] += one.held_out / len(folds)
    return probs


def class_probs(run: Run, story: LatentLabelStory, index: np.ndarray) -> Tensor:
    """Return the class probabilities that a story predicts, (n, *dims, K), on the CPU.

    Args:
        run: State of the fit.
        story: Story that predicts.
        index: Indices of the rows, (n,).
    """
    return run.predict(story, index, lambda x: story.initial_predictor(x).probs)


def empty_probs(run: Run) -> Tensor:
    """Return zeros, (N, *dims, K), to be filled with the class probabilities of all rows."""
    classes = run.latent_label("Cross-fitting").num_classes
    return torch.zeros(*run.rows.y.shape, classes, dtype=precision_of(run.story))


def safe_log(probs: Tensor) -> Tensor:
    """Return the logarithm of probabilities, which is finite even if they have underflowed to 0."""
    # A probability of 0 would exclude a class that a verified row may belong to.
    return probs.clamp_min(torch.finfo(probs.dtype).tiny).log()


class EpochAverage(Callback):
    """Average the predictions of a fold over the later epochs, and save the copy before them.

    Args:
        run: State of the fit.
        fold: Copy of the story for one fold.
        skip: Number of first epochs, whose predictions are not averaged.
    """

    def __init__(self, run: Run, fold: Copy, skip: int) -> None:
        self.run, self.fold, self.skip = run, fold, skip
        self.early = copy.deepcopy(fold.story.state_dict())
        self.total = torch.zeros(())
        self.count = 0

    @property
    def value(self) -> Tensor:
        """Averaged class probabilities of the predicted rows, (n, *dims, K)."""
        return self.total / self.count

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        epochs = trainer.max_epochs or 1
        if trainer.current_epoch + 1 == min(self.skip, epochs):
            self.early = copy.deepcopy(self.fold.story.state_dict())
        if trainer.current_epoch < min(self.skip, epochs - 1):
            return
        self.run.device = pl_module.device
        self.total = self.total + class_probs(self.run, self.fold.story, self.fold.predicted_index)
        self.count += 1

    def state_dict(self) -> dict[str, Any]:
        return {"early": self.early, "total": self.total, "count": self.count}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        vars(self).update(state_dict)
