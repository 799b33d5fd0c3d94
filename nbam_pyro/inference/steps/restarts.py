"""`Restarts`: several short attempts, and a continuation of the best one."""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from nbam_pyro.inference.steps.run import Run
from nbam_pyro.inference.steps.side_by_side import each
from nbam_pyro.inference.steps.step import Step
from nbam_pyro.inference.variational.guides import DrawnGuide
from nbam_pyro.training.parallel import fresh_seeds

# Attributes of a run that an attempt does not set, or that are added up.
_KEPT = {"story", "rows", "closed", "options", "seed", "family", "n_jobs", "history", "spent"}


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
        before = _State.of(run)
        arguments = [(steps, before, self.all_rows) for steps in self.attempts]
        outcomes = each(run, _outcome, arguments, seeds=fresh_seeds(len(arguments)))
        _, best = min(outcomes, key=lambda outcome: outcome[0])
        best.restore(run)


@dataclass(frozen=True)
class _State:
    """What steps change in a run.

    Attributes:
        values: Attributes of the run by name, without its story, its rows and its records. A guide
            that can be trained is None, because it belongs to the story of one process.
        story: Parameters of the story.
        guide: Parameters of the guide.
    """

    values: dict[str, Any]
    story: dict[str, Any]
    guide: dict[str, Any]

    @classmethod
    def of(cls, run: Run) -> "_State":
        """Return a copy of the state of a run."""
        guide = run.guide_or_new()
        names = {one.name for one in fields(run)} - _KEPT
        values = {name: copy.copy(getattr(run, name)) for name in names}
        values["guide"] = guide if isinstance(guide, DrawnGuide) else None
        return cls(values, *copy.deepcopy((run.story.state_dict(), guide.state_dict())))

    def restore(self, run: Run) -> None:
        """Set a run to this state."""
        for name, value in self.values.items():
            setattr(run, name, copy.copy(value))
        run.story.load_state_dict(self.story)
        run.guide_or_new().load_state_dict(self.guide)


def _outcome(
    run: Run, steps: Sequence[Step], before: _State, all_rows: bool
) -> tuple[tuple[bool, float], _State]:
    """Make one attempt, and return its loss and the state of the run after it.

    Args:
        run: State of the fit.
        steps: Steps of the attempt.
        before: State that the attempt starts from.
        all_rows: Whether the loss is that of all rows instead of the held-out rows.

    Returns:
        Whether most rows are contaminated (see `Run.exchanged`), and the loss; and the state.
    """
    before.restore(run)
    for step in steps:
        step(run)
    everything = np.arange(len(run.rows))
    compared = everything if all_rows or not len(run.held_out_index) else run.held_out_index
    exchanged = run.exchanged()
    loss = run.judge(compared)[0]
    return (exchanged, math.inf if math.isnan(loss) else loss), _State.of(run)
