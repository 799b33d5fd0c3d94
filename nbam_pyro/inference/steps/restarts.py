"""`Restarts`: several short attempts, and a continuation of the best one."""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from nbam_pyro.inference.steps.run import Run
from nbam_pyro.inference.steps.step import Step


@dataclass(frozen=True, kw_only=True)
class Restarts(Step):
    """Make several short attempts from the same start, and continue from the best one.

    The best attempt has the largest log marginal of the noisy held-out rows (or of all rows). The
    log marginal separates good local optima of the network from bad ones. It cannot separate the
    two interpretations of a mutual pair of classes (two classes that are mistaken for each other),
    because exchanging the two class names does not change the likelihood.

    Most targets are assumed to be correct. Therefore an attempt with mostly contaminated rows is
    chosen only if every attempt has mostly contaminated rows, or if it infers the switches of most
    verified rows correctly.

    Args:
        attempts: Steps of each attempt. They may be the same for all attempts, or different.
        all_rows: Whether attempts are compared by the log marginal of all rows instead of the
            held-out rows alone. This is useful if the attempts are too short to memorise targets
            and the held-out rows are too few to separate the attempts.
    """

    attempts: Sequence[Sequence[Step]]
    all_rows: bool = False

    def __call__(self, run: Run) -> None:
        before = _state(run)
        everything = np.arange(len(run.rows))
        compared = (
            everything if self.all_rows or not len(run.held_out_index) else run.held_out_index
        )
        outcomes = []
        for steps in self.attempts:
            _restore(run, before)
            for step in steps:
                step(run)
            exchanged = run.exchanged()
            loss = run.judge(compared)[0]
            outcomes.append(((exchanged, math.inf if math.isnan(loss) else loss), _state(run)))
        _, best = min(outcomes, key=lambda outcome: outcome[0])
        _restore(run, best)


def _state(run: Run) -> tuple[nn.Module, dict[str, Any], dict[str, Any]]:
    """Return the guide of a run, and copies of the parameters of its story and its guide."""
    guide = run.guide_or_new()
    return guide, *copy.deepcopy((run.story.state_dict(), guide.state_dict()))


def _restore(run: Run, state: tuple[nn.Module, dict[str, Any], dict[str, Any]]) -> None:
    """Set the guide of a run and all parameters to a state that `_state` returned."""
    run.guide, of_story, of_guide = state
    run.story.load_state_dict(of_story)
    run.guide.load_state_dict(of_guide)
