"""The methods of the library: its default, and the three heads of the paper."""

import copy
import warnings
from collections.abc import Callable, Sequence

import lightning.pytorch as pl
import torch
from torch import nn

from benchmarks.label_noise.figures import Outcome
from benchmarks.label_noise.training import Task, probabilities
from nbam_pyro import Fit, LabelFlip, Verified, fit, responsibilities, transition_matrix
from nbam_pyro.errors import CannotTellWarning
from nbam_pyro.inference import Joint, Run, default_steps
from nbam_pyro.models import Story, three_heads
from nbam_pyro.verified import NOTHING


def nbam(task: Task, *, locality: float = 0.0, difficulty: float | None = None) -> Outcome:
    """Fit a latent true label (`LabelFlip`) with the default steps of `fit`.

    Args:
        task: Noisy rows, network and optimiser.
        locality: Prior scale of g(x), the deviation of a row's log odds of a wrong label from those
            of its class. 0, the library's default, means no deviation.
        difficulty: How much more often labels are wrong where the network hesitates. None is the
            library's default.
    """
    problem = task.problem
    network = task.data.network()
    last = LastEpoch(network)
    story = LabelFlip(network, task.data.classes, locality=locality, difficulty=difficulty)
    fitted = fit_story(task, story, callbacks=[last])
    flags = fitted.training_rows.responsibility
    matrix = transition_matrix(fitted, problem.x if locality else None)
    return Outcome(
        flags=flags,
        last=probabilities(task, last.network, problem.x_test),
        selected=probabilities(task, network, problem.x_test),
        rate=float(flags.mean()),
        interval=(fitted.training_rows.share.low, fitted.training_rows.share.high),
        matrix=matrix.mean,
        verdict=fitted.verdict.level,
    )


def nbam_literal(task: Task) -> Outcome:
    """Fit the paper's original story, three heads on one trunk. It is expected to collapse."""
    problem = task.problem
    trunk, head = task.data.network()
    story = three_heads(trunk, head.in_features, task.data.classes)  # type: ignore[arg-type]
    network = nn.Sequential(trunk, story.clean.head)  # type: ignore[arg-type]
    last = LastEpoch(network)
    data = task.data
    joint = Joint(
        epochs=data.epochs, patience=data.epochs, lr=data.lr, weight_decay=data.weight_decay
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CannotTellWarning)
        fitted = fit_story(task, story, steps=[joint], callbacks=[last])
    flags = responsibilities(fitted, problem.x, problem.labels.observed)
    return Outcome(
        flags=flags,
        last=probabilities(task, last.network, problem.x_test),
        selected=probabilities(task, network, problem.x_test),
        rate=float(flags.mean()),
    )


def fit_story(
    task: Task,
    story: Story,
    *,
    steps: Sequence[Callable[[Run], None]] | None = None,
    callbacks: Sequence[pl.Callback] = (),
    verified: Verified = NOTHING,
) -> Fit:
    """Fit a story to the noisy rows of a task, and return the fit on the CPU.

    Args:
        task: Noisy rows, network and optimiser.
        story: Story with the network.
        steps: Steps of the fit. None for the default steps with the task's optimiser.
        callbacks: Callbacks of all training runs.
        verified: Verified values of the rows.
    """
    problem, data = task.problem, task.data
    if steps is None:
        steps = default_steps(
            story,
            epochs=data.epochs,
            lr=data.lr,
            weight_decay=data.weight_decay,
            one_cycle=data.one_cycle,
        )
    fitted = fit(
        story,
        (problem.x, problem.labels.observed),
        held_out=problem.held_out,
        batch_size=data.batch_size,
        seed=task.seed,
        steps=steps,
        trainer={**task.trainer, "callbacks": [*callbacks]},
        verified=verified,
    )
    fitted.story.cpu()
    fitted.guide.cpu()
    return fitted


class LastEpoch(pl.Callback):
    """Callback that copies a network at the end of the last run that trained it.

    The copy is needed because a fit loads its selected epoch after each run. Runs that train only
    copies of the network, or only the spread of the posterior, are ignored.
    """

    def __init__(self, network: nn.Module) -> None:
        self.watched = network
        self.network = network

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        watched = {id(parameter) for parameter in self.watched.parameters()}
        trained = {
            id(parameter)
            for optimiser in trainer.optimizers
            for group in optimiser.param_groups
            for parameter in group["params"]
        }
        if watched & trained:
            with torch.no_grad():
                self.network = copy.deepcopy(self.watched).cpu()
