"""Copies of a story that are trained on some folds and predict the remaining fold."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
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


def copies(
    run: Run, story: LatentLabelStory, folds: int, *, seed: int | None = None
) -> Iterator[Copy]:
    """Yield a copy with new random weights for each fold of the training rows.

    Args:
        run: State of the fit.
        story: Story to copy.
        folds: Number of folds; at most one fold for each training row, or each group of rows.
        seed: Seed of the folds; None for that of the fit.
    """
    seed = run.seed if seed is None else seed
    labels = run.rows.y[torch.as_tensor(run.training_index)].numpy()
    groups = run.rows.groups_of(run.training_index)
    for others, own in split(labels, min(folds, len(labels)), seed=seed, groups=groups):
        one = copy.deepcopy(story)
        reinitialise(one)
        yield Copy(one, run.training_index[others], run.training_index[own])


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
