"""Values that a training step reads from the device: each makes the host wait for the GPU.

A step waits where Python needs a number of a tensor (`.item()`, `float(tensor)`, `if tensor:`) or
where the size of a result depends on values (a mask as an index). Both are counted on the CPU, by
torch's profiler, in the forward and backward pass of one training step. The step of the optimiser
is not counted.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import final

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.profiler import ProfilerActivity, profile

from benchmarks.benchmark import CPU, Benchmark, Case, Row
from nbam_pyro import LabelFlip, NBAMLoss, NBAMRegressionLoss, Story, robust_regression
from nbam_pyro.inference import ClosedObjective, EnumeratedObjective, make_guide
from nbam_pyro.models import mlp
from nbam_pyro.training.rows import Batch

# Operations whose result the host reads, and operations whose size depends on values.
_READS = ("aten::_local_scalar_dense",)
_SIZES = ("aten::nonzero", "aten::masked_select", "aten::_unique2")


def waits(step: Callable[[], Tensor]) -> dict[str, float]:
    """Return how often a step reads a number, and how often a size depends on values.

    Args:
        step: Function that returns the loss of a batch. It is called three times, and the third
            call is counted, with its backward pass.

    Example:
        >>> weight = torch.ones(3, requires_grad=True)
        >>> waits(lambda: weight.sum() * float(weight[0] > 0))
        {'reads': 1.0, 'sizes': 0.0}
    """
    for _ in range(2):
        step().backward()
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        step().backward()
    counts = {event.key: event.count for event in profiled.key_averages()}
    return {
        "reads": float(sum(counts.get(name, 0) for name in _READS)),
        "sizes": float(sum(counts.get(name, 0) for name in _SIZES)),
    }


@final
@dataclass(frozen=True, kw_only=True)
class HostSyncs(Benchmark):
    """Number of values that the host reads from the device in one training step."""

    def measure(self, known: Collection[Case]) -> Iterator[Row]:
        """Yield one row for each kind of training step."""
        torch.manual_seed(0)
        x = torch.randn(128, 16)
        labels, measurements = torch.randint(10, (128,)), torch.randn(128)
        for name, step in _steps(x, labels, measurements).items():
            case = Case(data="random", method=name)
            if case not in known:
                yield Row(case=case, figures=waits(step), device=CPU)

    @staticmethod
    def summary(rows: pd.DataFrame) -> str:
        """Return a table of all figures."""
        return rows[["method", "reads", "sizes"]].astype({"reads": int, "sizes": int}).to_string()


def _steps(x: Tensor, labels: Tensor, measurements: Tensor) -> dict[str, Callable[[], Tensor]]:
    network, line = mlp(16, 10), nn.Linear(16, 1)
    loss, regression = NBAMLoss(10), NBAMRegressionLoss()
    loss.start_from(network(x).detach(), labels)
    regression.start_from(line(x)[:, 0].detach(), measurements)
    flips, switch = LabelFlip(mlp(16, 10), 10), robust_regression(nn.Linear(16, 1), measurements)
    return {
        "cross-entropy": lambda: cross_entropy(network(x), labels),
        "NBAMLoss": lambda: loss(network(x), labels),
        "NBAMRegressionLoss": lambda: regression(line(x)[:, 0], measurements),
        "closed form, labels": _objective(ClosedObjective, flips, x, labels),
        "closed form, measurements": _objective(ClosedObjective, switch, x, measurements),
        "enumeration, labels": _objective(EnumeratedObjective, flips, x, labels),
    }


def _objective(
    kind: type[ClosedObjective] | type[EnumeratedObjective], story: Story, x: Tensor, y: Tensor
) -> Callable[[], Tensor]:
    objective = kind(story, make_guide(story, x[:2], y[:2]))
    batch = Batch(x, y, torch.ones(len(x)))
    return lambda: objective(batch, 50_000)
