"""`ByRows`: other steps where rows are few."""

from collections.abc import Sequence
from dataclasses import dataclass

from nbam_pyro.inference.run import Run
from nbam_pyro.inference.steps import Step


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
        for step in self.few if len(run.training) < self.limit else self.many:
            step(run)
