"""`ByRows` and `UseAll`: different steps for few rows, and training on all rows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nbam_pyro.inference.steps.run import Run
from nbam_pyro.inference.steps.step import Step

FEW = 1000
"""Below this number of training rows, the recipe for labels has other steps."""


@dataclass(frozen=True, kw_only=True)
class ByRows(Step):
    """Choose the next steps by the number of training rows.

    Args:
        few: Steps if there are fewer training rows than `limit`.
        many: Steps if there are `limit` training rows or more.
        limit: Number of training rows that separates the two cases.
    """

    few: Sequence[Step]
    many: Sequence[Step]
    limit: int = FEW

    def __call__(self, run: Run) -> None:
        for step in self.few if len(run.training_index) < self.limit else self.many:
            step(run)


@dataclass(frozen=True, kw_only=True)
class UseAll(Step):
    """Move all held-out rows to the training rows; later steps then select no epochs.

    The step changes nothing if the caller of `fit` has chosen the held-out rows.
    """

    def __call__(self, run: Run) -> None:
        if run.drawn:
            run.training_index, run.held_out_index = np.arange(len(run.rows)), np.arange(0)
