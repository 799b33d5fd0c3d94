"""The contract of a recipe step."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from nbam_pyro.errors import CannotTellWarning
from nbam_pyro.inference import Fit, Run, fit, responsibilities
from nbam_pyro.models import Story
from nbam_pyro.testing.contract import clone, require

__all__ = ["check_step"]


def check_step(
    step: Callable[[Run], None], story: Story, data: tuple[Any, Any], *, seed: int = 0
) -> None:
    """Check that a step can take part in `fit(story, data, steps=[...])`.

    The step is run twice, each time in a fit of a copy of the story. These properties are checked:
    it changes its `Run` in place and returns nothing. No row is both a training row and a held-out
    row. Every parameter that could be trained before the step can be trained after it, is finite,
    and is on the CPU. Equal seeds give equal responsibilities.

    Args:
        step: `Step`, or a function that takes a `Run`.
        story: Story to fit. It is not changed.
        data: Rows and targets (x, y), as `fit` takes them.
        seed: Seed of the fits. The global random state of torch is not changed.

    Raises:
        ContractError: A property does not hold. The message states the cause and how to fix it.

    Example:
        >>> from torch import nn
        >>> from nbam_pyro import LabelFlip
        >>> from nbam_pyro.inference import Joint
        >>> x, y = torch.randn(12, 2), torch.arange(12) % 3
        >>> check_step(Joint(epochs=1), LabelFlip(nn.Linear(2, 3), 3), (x, y))
    """
    fits = [_fitted(step, clone(story), data, seed) for _ in range(2)]
    one, other = (responsibilities(fitted, *data) for fitted in fits)
    require(
        np.array_equal(one, other),
        f"{_name(step)} gives different responsibilities in two fits with one seed: draw random "
        "numbers from torch's default generator, which fit seeds, and keep no state between fits.",
    )


def _fitted(step: Callable[[Run], None], story: Story, data: tuple[Any, Any], seed: int) -> Fit:
    trainable = {name for name, p in story.named_parameters() if p.requires_grad}

    def watched(run: Run) -> None:
        rows = set(run.training_index.tolist())
        held_out = set(run.held_out_index.tolist())
        untyped: Callable[[Run], Any] = step
        returned = untyped(run)
        require(
            returned is None,
            f"{_name(step)} returns a {type(returned).__name__}: a step changes its Run in place "
            "and returns nothing.",
        )
        _check_rows(step, run, rows | held_out)
        _check_parameters(step, run, trainable)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CannotTellWarning)  # one step alone need not find anything
        return fit(story, data, steps=[watched], seed=seed)


def _name(step: Callable[[Run], None]) -> str:
    return getattr(step, "__name__", type(step).__name__)


def _check_rows(step: Callable[[Run], None], run: Run, rows: set[int]) -> None:
    training, held_out = set(run.training_index.tolist()), set(run.held_out_index.tolist())
    require(
        not training & held_out and training | held_out <= rows and bool(training),
        f"{_name(step)} mixes training rows and held-out rows, or leaves none to train on: a row "
        "may move from run.held_out_index to run.training_index, but not be in both.",
    )


def _check_parameters(step: Callable[[Run], None], run: Run, trainable: set[str]) -> None:
    for name, parameter in run.story.named_parameters():
        require(
            parameter.requires_grad or name not in trainable,
            f"{_name(step)} leaves the parameter {name!r} of the story frozen: set "
            "requires_grad_(True) again at its end.",
        )
        require(
            bool(parameter.isfinite().all()),
            f"{_name(step)} leaves the parameter {name!r} of the story with values that are not "
            "finite: use a smaller step size.",
        )
        require(
            parameter.device == torch.device("cpu"),
            f"{_name(step)} leaves the parameter {name!r} of the story on {parameter.device}: "
            "move modules back to the CPU.",
        )
