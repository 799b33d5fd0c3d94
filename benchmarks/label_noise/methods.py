"""Every method by its name on the command line.

Only the library's own method is ours to set; the others have the constants that their authors
published (see `losses`), and the network, epochs and optimiser of the data set.
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
from benchmarks.label_noise.pruning import cleanlab
from benchmarks.label_noise.training import Loss, Task, Trained, probabilities, train
from nbam_pyro import functional as nf

Method = Callable[[Task], Outcome]


def by_loss(loss: losses.RowLoss) -> Method:
    """The network trained with a loss of each row."""
    return lambda task: _plain(task, losses.averaged(loss))


def elr(task: Task) -> Outcome:
    """Early-learning regularisation, whose targets belong to rows."""
    return _plain(task, losses.EarlyLearning(len(task.problem.labels.clean), task.data.classes))


def noise_layer(task: Task) -> Outcome:
    """A transition layer learned with the network, from no anchors."""
    layer = losses.NoiseLayer(task.data.classes)
    trained = train(task, layer)
    flip = nf.zero_diagonal(layer.flip_logits.softmax(-1))
    matrix = nf.transition_matrix(layer.rate_logits.sigmoid(), flip).detach().cpu().numpy()
    return _with_matrix(task, trained, matrix)


def forward(task: Task) -> Outcome:
    """Forward correction with the matrix of a first network, trained with cross-entropy.

    The anchors are training rows as the first network sees them at its selected epoch.
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
    """An oracle that sees nothing but the label: the true share of wrong ones among its rows."""
    labels = task.problem.labels
    counts = np.bincount(labels.observed, minlength=task.data.classes)
    wrong = np.bincount(labels.observed, labels.contaminated, minlength=task.data.classes)
    return Outcome(flags=wrong[labels.observed] / counts[labels.observed])


def _plain(task: Task, loss: Loss) -> Outcome:
    """A method without a posterior, whose flags are 1 - p(observed label | x)."""
    trained = train(task, loss)
    p = probabilities(task, trained.network, task.problem.x)
    return _outcome(task, trained, 1 - p[range(len(p)), task.problem.labels.observed])


def _with_matrix(task: Task, trained: Trained, matrix: np.ndarray) -> Outcome:
    """A method that estimates M, and so has a posterior: 1 - p_y M_yy / sum_c p_c M_cy."""
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
        "nbam_literal": nbam_literal,
        "cross_entropy": by_loss(losses.cross_entropy),
        "mae": by_loss(losses.mae),
        "gce": by_loss(losses.gce),
        "sce": by_loss(losses.sce),
        "nce_rce": by_loss(losses.nce_rce),
        "forward": forward,
        "noise_layer": noise_layer,
        "elr": elr,
        "cleanlab": cleanlab,
        "label_only": label_only,
    }
)
