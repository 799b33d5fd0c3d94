"""All methods of the label-noise benchmark, by name on the command line.

The settings of the library's own methods were chosen by this project. The baselines use the
constants that their authors published (see `losses`). All methods use the network, epochs and
optimiser of the data set.
"""

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

import numpy as np
import torch

from benchmarks.label_noise import losses
from benchmarks.label_noise.figures import Outcome
from benchmarks.label_noise.nbam import nbam, nbam_literal
from benchmarks.label_noise.predicted import pred_probs
from benchmarks.label_noise.pruning import cleanlab
from benchmarks.label_noise.training import Loss, Task, Trained, probabilities, train
from nbam_pyro import functional as nf

Method = Callable[[Task], Outcome]


def by_loss(loss: losses.RowLoss) -> Method:
    """Return a method that trains the network with a loss of single rows."""
    return lambda task: _plain(task, losses.averaged(loss))


def elr(task: Task) -> Outcome:
    """Early-learning regularisation. Each row has its own target."""
    return _plain(task, losses.EarlyLearning(len(task.problem.labels.clean), task.data.classes))


def noise_layer(task: Task) -> Outcome:
    """Transition layer that is learned together with the network, without anchors."""
    layer = losses.NoiseLayer(task.data.classes)
    trained = train(task, layer)
    flip = nf.zero_diagonal(layer.flip_logits.softmax(-1))
    matrix = nf.transition_matrix(layer.rate_logits.sigmoid(), flip).detach().cpu().numpy()
    return _with_matrix(task, trained, matrix)


def forward(task: Task) -> Outcome:
    """Forward correction. The matrix comes from a first network trained with cross-entropy.

    Anchors are training rows, chosen by the first network at its selected epoch.
    """
    first = train(task, losses.averaged(losses.cross_entropy))
    seen = probabilities(task, first.network, task.problem.x[~task.problem.held_out])
    matrix = losses.anchor_matrix(torch.as_tensor(seen))
    there = matrix.to(task.device)
    trained = train(
        task,
        lambda logits, labels, rows: losses.forward_correction(logits, labels, there).mean(),
    )
    return _with_matrix(task, trained, matrix.numpy())


def label_only(task: Task) -> Outcome:
    """Oracle that uses only the label: the true share of wrong labels among its rows."""
    labels = task.problem.labels
    counts = np.bincount(labels.observed, minlength=task.data.classes)
    wrong = np.bincount(labels.observed, labels.contaminated, minlength=task.data.classes)
    return Outcome(flags=wrong[labels.observed] / counts[labels.observed])


def _plain(task: Task, loss: Loss) -> Outcome:
    """Train a method without a posterior. Its flags are 1 - p(observed label | x)."""
    trained = train(task, loss)
    p = probabilities(task, trained.network, task.problem.x)
    return _outcome(task, trained, 1 - p[range(len(p)), task.problem.labels.observed])


def _with_matrix(task: Task, trained: Trained, matrix: np.ndarray) -> Outcome:
    """Return the outcome of an estimated M. Flags are 1 - p_y M_yy / sum_c p_c M_cy."""
    y = task.problem.labels.observed
    joint = probabilities(task, trained.network, task.problem.x) * matrix.T[y]
    flags = 1 - joint[range(len(y)), y] / joint.sum(1)
    return dataclasses.replace(
        _outcome(task, trained, flags), rate=float(flags.mean()), matrix=matrix
    )


def _outcome(task: Task, trained: Trained, flags: np.ndarray) -> Outcome:
    return Outcome(
        flags=flags,
        last=probabilities(task, trained.at_last(), task.problem.x_test),
        selected=probabilities(task, trained.network, task.problem.x_test),
    )


METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "nbam": nbam,
        "nbam_local": partial(nbam, locality=1.0),
        "nbam_difficulty": partial(nbam, difficulty=1.0),
        "nbam_literal": nbam_literal,
        "cross_entropy": by_loss(losses.cross_entropy),
        "mae": by_loss(losses.mae),
        "gce": by_loss(losses.gce),
        "sce": by_loss(losses.sce),
        "nce_rce": by_loss(losses.nce_rce),
        "forward": forward,
        "noise_layer": noise_layer,
        "elr": elr,
        "pred_probs": pred_probs,
        "cleanlab": cleanlab,
        "label_only": label_only,
    }
)
