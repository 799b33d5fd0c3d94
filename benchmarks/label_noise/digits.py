"""Digits with flipped labels: the demonstration with several seeds, and `NBAMLoss` in a loop."""

import tempfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import pandas as pd
import torch
from sklearn.metrics import brier_score_loss, roc_auc_score
from torch.nn.functional import cross_entropy

from benchmarks.benchmark import Benchmark, Case, Row, flat
from benchmarks.options import FirstSeed, Seeds
from nbam_pyro import LabelFlip, NBAMLoss, fit
from nbam_pyro.cli.runs.demonstration import judge, run_demo
from nbam_pyro.data import Digits as Data
from nbam_pyro.data import flipped_digits
from nbam_pyro.models import mlp

__all__ = ["Digits", "Loop"]


@final
@dataclass(frozen=True, kw_only=True)
class Digits(Benchmark):
    """Results of `nbam demo` on digits with flipped labels, for several seeds."""

    seeds: Seeds = 5
    first_seed: FirstSeed = 0

    def measure(self, known: Collection[Case]) -> Iterator[Row]:
        """Yield one row per seed with all values of the demonstration's summary."""
        for seed in range(self.first_seed, self.first_seed + self.seeds):
            case = Case(data="digits", method="fit", seed=seed)
            if case not in known:
                found = demo(seed)
                notes = {name: value for name, value in found.items() if isinstance(value, str)}
                figures = {name: value for name, value in found.items() if name not in notes}
                yield Row(case=case, figures=figures, notes=notes)

    @staticmethod
    def summary(rows: pd.DataFrame) -> str:
        """Return a table of means over seeds."""
        return rows.drop(columns="seed").mean(numeric_only=True).round(4).to_string()


@final
@dataclass(frozen=True, kw_only=True)
class Loop(Benchmark):
    """`NBAMLoss` in a plain torch loop, compared with `fit` and with cross-entropy."""

    seeds: Seeds = 6
    first_seed: FirstSeed = 0

    def measure(self, known: Collection[Case]) -> Iterator[Row]:
        """Yield one row per seed and method: fit, loop and cross-entropy."""
        for seed in range(self.first_seed, self.first_seed + self.seeds):
            methods = {"fit": fitted, "loop": loop, "cross-entropy": plain_loop}
            cases = {name: Case(data="digits", method=name, seed=seed) for name in methods}
            digits = flipped_digits(seed=seed)
            for name, method in methods.items():
                if cases[name] not in known:
                    yield Row(case=cases[name], figures=method(digits, seed))

    @staticmethod
    def summary(rows: pd.DataFrame) -> str:
        """Return a table of means over seeds, by method."""
        means = rows.groupby("method", sort=False).mean(numeric_only=True)
        return means.drop(columns="seed").round(4).to_string()


def demo(seed: int) -> dict[str, Any]:
    """Run `nbam demo` and return its summary as a flat dictionary."""
    with tempfile.TemporaryDirectory() as folder:
        summary = flat(run_demo(Path(folder) / "run", seed=seed))
    del summary["data"]
    error = summary["contamination"] - summary["contamination_true"]
    return {**summary, "estimate_error": abs(error)}


def fitted(digits: Data, seed: int) -> dict[str, float]:
    """Train a `LabelFlip` story with `fit` and return its figures."""
    torch.manual_seed(seed)
    story = LabelFlip(mlp(64, 10), 10)
    judged = judge(fit(story, (digits.x, digits.labels.observed), seed=seed), digits)
    return {name: judged[name] for name in ("accuracy", "auroc", "brier")}


def loop(digits: Data, seed: int, *, epochs: int = 60, warm_up: int = 5) -> dict[str, float]:
    """Train with `NBAMLoss` in the loop of the documentation and return the figures."""
    torch.manual_seed(seed)
    x, y = torch.as_tensor(digits.x), torch.as_tensor(digits.labels.observed)
    network, loss = mlp(64, 10), NBAMLoss(num_classes=10)
    parameters: list[dict[str, Any]] = [
        {"params": network.parameters()},
        {"params": loss.parameters(), "lr": 6e-4, "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(parameters, lr=2e-3)
    for epoch in range(epochs):
        if epoch == warm_up:
            loss.start_from(_logits(network, x), y)
        for batch in torch.randperm(len(x)).split(64):
            optimiser.zero_grad()
            loss(network(x[batch]), y[batch]).backward()
            optimiser.step()
    truth = digits.labels.contaminated
    r = loss.responsibility(_logits(network, x), y).numpy()
    return {
        "accuracy": _accuracy(network, digits),
        "auroc": float(roc_auc_score(truth, r)),
        "brier": float(brier_score_loss(truth, r)),
    }


def plain_loop(digits: Data, seed: int, *, epochs: int = 60) -> dict[str, float]:
    """Train in the same loop with cross-entropy and return the accuracy."""
    torch.manual_seed(seed)
    x, y = torch.as_tensor(digits.x), torch.as_tensor(digits.labels.observed)
    network = mlp(64, 10)
    optimiser = torch.optim.AdamW(network.parameters(), lr=2e-3)
    for _ in range(epochs):
        for batch in torch.randperm(len(x)).split(64):
            optimiser.zero_grad()
            cross_entropy(network(x[batch]), y[batch]).backward()
            optimiser.step()
    return {"accuracy": _accuracy(network, digits)}


def _logits(network: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    network.eval()
    with torch.no_grad():
        logits = network(x)
    network.train()
    return logits


def _accuracy(network: torch.nn.Module, digits: Data) -> float:
    predicted = _logits(network, torch.as_tensor(digits.x_test)).argmax(-1).numpy()
    return float((predicted == digits.y_test).mean())
