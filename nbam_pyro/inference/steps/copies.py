"""Copies of a story that are trained on some folds and predict another."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nbam_pyro.inference.steps.basic import reinitialise
from nbam_pyro.inference.steps.run import Run
from nbam_pyro.models import LatentLabelStory
from nbam_pyro.training.folds import split
from nbam_pyro.training.tensors import precision_of


@dataclass(frozen=True)
class Copy:
    """A copy of the story, the rows it is fitted to, and those it predicts."""

    story: LatentLabelStory
    others: np.ndarray
    own: np.ndarray


def copies(run: Run, story: LatentLabelStory, folds: int) -> Iterator[Copy]:
    """A copy with fresh weights for each fold of the training rows, made when it is asked for."""
    labels = run.rows.y[torch.as_tensor(run.training_index)].numpy()
    for others, own in split(labels, min(folds, len(labels)), seed=run.seed):
        one = copy.deepcopy(story)
        reinitialise(one)
        yield Copy(one, run.training_index[others], run.training_index[own])


def class_probs(run: Run, story: LatentLabelStory, index: np.ndarray) -> Tensor:
    """Probabilities of classes of some rows, (n, *dims, K), on the CPU."""
    return run.predict(story, index, lambda x: story.initial_predictor(x).probs)


def no_probs(run: Run) -> Tensor:
    """Probabilities of classes of all rows before any are predicted, (N, *dims, K)."""
    classes = run.latent_label("Copies").num_classes
    return torch.zeros(*run.rows.y.shape, classes, dtype=precision_of(run.story))


def log_of(probs: Tensor) -> Tensor:
    """The logarithm, finite also of what has underflowed to 0."""
    # 0 must not rule out a class: a verified row may be of it.
    return probs.clamp_min(torch.finfo(probs.dtype).tiny).log()
