"""What the criteria share."""

import warnings
from collections.abc import Iterable
from typing import Literal

from torch import Tensor, nn

from nbam_pyro.errors import DataError, OptimiserWarning

Reduction = Literal["mean", "sum", "none"]


def reduce(values: Tensor, reduction: Reduction) -> Tensor:
    """Reduce as torch's criteria do."""
    if reduction == "none":
        return values
    return values.mean() if reduction == "mean" else values.sum()


def known_reduction(reduction: Reduction) -> Reduction:
    """The reduction, if torch has it; else a `DataError`."""
    if reduction not in ("mean", "sum", "none"):
        raise DataError(f"reduction is {reduction!r}; choose 'mean', 'sum' or 'none'.")
    return reduction


class Movement:
    """Says once when a loss is trained for ten steps and its parameters have not moved."""

    patience = 10

    def __init__(self) -> None:
        self.steps = 0
        self.versions: list[int] | None = None

    def check(self, parameters: Iterable[nn.Parameter]) -> None:
        """Count a training step; warn at the tenth in which nothing moved."""
        parameters = list(parameters)
        if self.steps > self.patience:
            return
        versions = [p._version for p in parameters]
        if self.versions is None:
            self.versions = versions
        if versions != self.versions:
            self.steps = self.patience + 1  # they move: nothing to say, now or later
            return
        self.steps += all(p.grad is not None for p in parameters)
        if self.steps == self.patience:
            self.steps += 1
            warnings.warn(
                f"The parameters of this loss have not moved in {self.patience} training steps: "
                "give them to the optimiser, for instance "
                "AdamW([*network.parameters(), *loss.parameters()]).",
                OptimiserWarning,
                stacklevel=4,
            )
