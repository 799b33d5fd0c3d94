"""`ByRows` and `UseAll`: other steps where rows are few, and all of the rows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nbam_pyro.inference.steps.basic import Step
from nbam_pyro.inference.steps.run import Run


@dataclass(frozen=True, kw_only=True)
class ByRows(Step):
    """Go on in one way where there are few training rows, and in another where there are many.

    Args:
        few: the steps for fewer training rows than the limit.
        many: the steps for others.
        limit: a number of training rows.
    """

    few: Sequence[Step]
    many: Sequence[Step]
    limit: int = 1000

    def __call__(self, run: Run) -> None:
        for step in self.few if len(run.training_index) < self.limit else self.many:
            step(run)


@dataclass(frozen=True, kw_only=True)
class UseAll(Step):
    """Train on the rows held out to select epochs and restarts, too: nothing is selected after.

    Rows that somebody has chosen to hold out stay so.
    """

    def __call__(self, run: Run) -> None:
        if run.drawn:
            run.training_index, run.held_out_index = np.arange(len(run.rows)), np.arange(0)
