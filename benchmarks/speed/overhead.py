"""Time of a training step of a label story, compared with plain cross-entropy.

Steps of all methods alternate in one process. Each round gives one ratio of times; the result is
the median over rounds. The time of a step includes forward, backward and AdamW. Both objectives
train the same parameters as the joint step of the default recipe: the network and the locations of
the guide.
"""

import shutil
import statistics
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, final

import pandas as pd
import torch
import typer
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmarks.benchmark import CPU, Benchmark, Case, Row
from nbam_pyro import LabelFlip, NBAMLoss
from nbam_pyro.inference import ClosedObjective, EnumeratedObjective, make_guide
from nbam_pyro.inference.variational.guides import spreads_and_locations
from nbam_pyro.losses import nbam_loss
from nbam_pyro.models import mlp, resnet18
from nbam_pyro.training.rows import Batch

Action = Callable[[], Any]
BATCH = 128
NUM_DATA = 50_000


def overhead(
    make: Callable[[], nn.Module], x: Tensor, *, rounds: int, inner: int
) -> dict[str, float]:
    """Return the milliseconds of a cross-entropy step, and the ratio of each objective to it."""
    y = torch.randint(10, (len(x),))
    times = interleave(
        {
            "cross_entropy": _cross_entropy_step(make(), x, y),
            "closed_form": _story_step(ClosedObjective, make(), x, y),
            "enumerated": _story_step(EnumeratedObjective, make(), x, y),
        },
        rounds=rounds,
        inner=inner,
    )
    return {
        "cross_entropy_ms": 1e3 * statistics.median(times["cross_entropy"]),
        "closed_form_ratio": _ratio(times, "closed_form", "cross_entropy"),
        "enumerated_ratio": _ratio(times, "enumerated", "cross_entropy"),
    }


def criterion(batch: int = 1024, k: int = 1000, *, rounds: int = 60) -> dict[str, float]:
    """Compare the loss alone with cross-entropy plus one product of matrices, (B, K) and (K, K).

    B is the number of rows of a batch, and K the number of classes. The optimiser makes no step.
    """
    logits = torch.randn(batch, k, requires_grad=True)
    target = torch.randint(k, (batch,))
    matrix = torch.rand(k, k)
    loss = NBAMLoss(k)
    loss.start_from(logits.detach(), target)
    loss.eval()  # the same value; avoids the warning about a missing optimiser

    def plain() -> None:
        logits.grad = None
        cross_entropy(logits, target).backward()

    def with_product() -> None:
        plain()
        torch.mm(logits.detach(), matrix)

    def ours() -> None:
        logits.grad = None
        loss.zero_grad()
        loss(logits, target).backward()

    times = interleave({"ours": ours, "reference": with_product}, rounds=rounds, inner=2)
    return {
        "ratio": _ratio(times, "ours", "reference"),
        "peak_mb": peak_mb(ours),
        "peak_mb_cross_entropy": peak_mb(plain),
    }


def compiled(batch: int = 1024, k: int = 1000, *, rounds: int = 60) -> dict[str, float | None]:
    """Compare `nbam_loss` in one graph of `torch.compile` with the same function without it.

    The figures are None if the machine has no C++ compiler.
    """
    if shutil.which("g++") is None:
        return {"compiled_ratio": None, "compile_seconds": None}
    logits = torch.randn(batch, k, requires_grad=True)
    target = torch.randint(k, (batch,))
    rates = torch.full((k,), -2.0, requires_grad=True)
    flips = torch.zeros(k, k - 1, requires_grad=True)

    def step(loss: Callable[..., Tensor]) -> None:
        for parameter in (logits, rates, flips):
            parameter.grad = None
        loss(logits, target, rates, flips).backward()

    one_graph = torch.compile(nbam_loss, fullgraph=True)
    started = time.perf_counter()
    step(one_graph)
    seconds = time.perf_counter() - started
    actions = {"compiled": lambda: step(one_graph), "plain": lambda: step(nbam_loss)}
    times = interleave(actions, rounds=rounds, inner=1)
    return {"compiled_ratio": _ratio(times, "compiled", "plain"), "compile_seconds": seconds}


def interleave(actions: Mapping[str, Action], *, rounds: int, inner: int) -> dict[str, list[float]]:
    """Return the seconds per call of each action. Actions alternate in every round."""
    times: dict[str, list[float]] = {name: [] for name in actions}
    for action in actions.values():
        for _ in range(2):
            action()
    for _ in range(rounds):
        for name, action in actions.items():
            started = time.perf_counter()
            for _ in range(inner):
                action()
            times[name].append((time.perf_counter() - started) / inner)
    return times


def peak_mb(action: Action) -> float:
    """Return the peak of additional CPU memory of torch during one call, in MB."""
    action()
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
    ) as profile:
        action()
    held = peak = 0
    for event in profile.profiler.kineto_results.events():  # type: ignore[union-attr]
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    return peak / 1e6


def _cross_entropy_step(network: nn.Module, x: Tensor, y: Tensor) -> Action:
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)

    def step() -> None:
        optimiser.zero_grad()
        cross_entropy(network(x), y).backward()
        optimiser.step()

    return step


def _story_step(
    objective: type[ClosedObjective] | type[EnumeratedObjective],
    network: nn.Module,
    x: Tensor,
    y: Tensor,
) -> Action:
    story = LabelFlip(network, 10)
    guide = make_guide(story, x[:2], y[:2])
    value = objective(story, guide)
    spreads, locations = spreads_and_locations(guide)
    for parameter in spreads:
        parameter.requires_grad_(False)
    optimiser = torch.optim.AdamW([*story.parameters(), *locations], lr=1e-3)

    batch = Batch(x, y, torch.ones(len(x)))

    def step() -> None:
        optimiser.zero_grad()
        value(batch, NUM_DATA).backward()
        optimiser.step()

    return step


def _ratio(times: Mapping[str, list[float]], one: str, other: str) -> float:
    return statistics.median(a / b for a, b in zip(times[one], times[other], strict=True))


@final
@dataclass(frozen=True, kw_only=True)
class Overhead(Benchmark):
    """Time of a training step of a label story and of its loss, compared with cross-entropy."""

    mlp_rounds: Annotated[int, typer.Option(min=1, help="Rounds of the perceptron.")] = 60
    resnet_rounds: Annotated[int, typer.Option(min=1, help="Rounds of ResNet-18.")] = 15
    criterion_rounds: Annotated[int, typer.Option(min=1, help="Rounds of the loss.")] = 60

    def measure(self, known: Collection[Case]) -> Iterator[Row]:
        """Yield one row each for the perceptron, ResNet-18, the loss alone and a compiled loss."""
        torch.manual_seed(0)
        rows, images = torch.randn(BATCH, 64), torch.randn(BATCH, 3, 32, 32)
        mlp_rounds, resnet_rounds = self.mlp_rounds, self.resnet_rounds
        actions: dict[str, Callable[[], Mapping[str, float | None]]] = {
            "mlp": lambda: overhead(lambda: mlp(64, 10), rows, rounds=mlp_rounds, inner=10),
            "resnet18": lambda: overhead(
                lambda: resnet18(3, 10), images, rounds=resnet_rounds, inner=1
            ),
            "criterion": lambda: criterion(rounds=self.criterion_rounds),
            "compiled": lambda: compiled(rounds=self.criterion_rounds),
        }
        for name, measured in actions.items():
            case = Case(data="random", method=name)
            if case not in known:
                yield Row(case=case, figures=measured(), device=CPU)

    @staticmethod
    def summary(rows: pd.DataFrame) -> str:
        """Return a table of all figures."""
        return rows.drop(columns=["data", "seed", "device"]).round(3).to_string(index=False)
