"""`NBAMLoss` in loops that start the story at different epochs: training rows or folds."""

import copy
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, final

import numpy as np
import pandas as pd
import torch
import typer
from sklearn.datasets import load_digits
from sklearn.metrics import average_precision_score, brier_score_loss
from torch import Tensor, nn

from benchmarks.benchmark import CPU, Benchmark, Case, Row
from benchmarks.options import FirstSeed, Seeds
from nbam_pyro import NBAMLoss
from nbam_pyro.data import CIFAR10_FLIPS, Flips, SymmetricFlips, contaminate
from nbam_pyro.errors import NBAMWarning

__all__ = ["LoopStarts"]

# Batches of digits are small, so that ten epochs are enough to learn them.
_BATCH = MappingProxyType({"digits": 64, "images": 256})
_FOLDS, _LOOPS = 3, ((6, 1), (6, 3), (10, 1), (10, 3), (10, 5))


@dataclass(frozen=True)
class Loops:
    """Training loops of perceptrons with 256 hidden units.

    Attributes:
        x: Rows, (N, D).
        y: Observed labels, (N,).
        batch: Rows per batch.
        epochs: Number of epochs.
        start: Number of epochs before `start_from`.
    """

    x: Tensor
    y: Tensor
    batch: int
    epochs: int
    start: int

    def network(self) -> nn.Module:
        """Return a network with fresh weights."""
        return nn.Sequential(nn.Linear(self.x.shape[1], 256), nn.ReLU(), nn.Linear(256, 10))

    def train(
        self, network: nn.Module, loss: NBAMLoss, step: torch.optim.Optimizer, rows: Tensor
    ) -> None:
        """Train for one epoch."""
        for batch in rows[torch.randperm(len(rows))].split(self.batch):
            step.zero_grad()
            loss(network(self.x[batch]), self.y[batch]).backward()
            step.step()

    def training_rows(self) -> Tensor:
        """Return responsibilities of a network that is started from and read on its own rows."""
        network, loss = self.network(), NBAMLoss(10)
        own: dict[str, Any] = {"params": loss.parameters(), "lr": 3e-4, "weight_decay": 0}
        step = torch.optim.AdamW([{"params": network.parameters()}, own], lr=1e-3)
        for epoch in range(self.epochs):
            if epoch == self.start:
                loss.start_from(network(self.x).detach(), self.y)
            self.train(network, loss, step, torch.arange(len(self.x)))
        return loss.responsibility(network(self.x).detach(), self.y)

    def folds(self) -> Tensor:
        """Return responsibilities of the loop on the page "My loss"."""
        fold, loss = torch.randperm(len(self.x)) % _FOLDS, NBAMLoss(10)
        networks = [self.network() for _ in range(_FOLDS)]

        def optimisers() -> list[torch.optim.Optimizer]:
            return [torch.optim.AdamW(network.parameters(), lr=1e-3) for network in networks]

        @torch.no_grad()
        def out_of_fold() -> Tensor:
            logits = torch.empty(len(self.x), 10)
            for k, network in enumerate(networks):
                logits[fold == k] = network(self.x[fold == k])
            return logits

        steps, lowest = optimisers(), float("inf")
        for epoch in range(self.epochs):
            if epoch == 1:
                early = copy.deepcopy([network.state_dict() for network in networks])
            if epoch == self.start:
                loss.start_from(out_of_fold(), self.y, held_out=True)
                for network, weights in zip(networks, early, strict=True):
                    network.load_state_dict(weights)
                steps = optimisers()
            for k, network in enumerate(networks):
                self.train(network, loss, steps[k], (fold != k).nonzero()[:, 0])
            if epoch >= self.start and (value := loss(out_of_fold(), self.y).item()) < lowest:
                lowest, best = value, out_of_fold()
        loss.recount(best, self.y)
        return loss.responsibility(best, self.y)


METHODS: Mapping[str, Callable[[Loops], Tensor]] = MappingProxyType(
    {"training rows": Loops.training_rows, "folds": Loops.folds}
)


@final
@dataclass(frozen=True, kw_only=True)
class LoopStarts(Benchmark):
    """`NBAMLoss` by the epoch of its start: digits with symmetric flips, images with others."""

    features: Annotated[
        Path | None,
        typer.Option(help="NPZ file with X_train and y_train of images. Default: no images."),
    ] = None
    seeds: Seeds = 1
    first_seed: FirstSeed = 2

    def measure(self, known: Collection[Case]) -> Iterator[Row]:
        """Yield one row per data set, loop, method and seed."""
        tables = ("digits", "images") if self.features else ("digits",)
        seeds = range(self.first_seed, self.first_seed + self.seeds)
        for name, seed, (epochs, start), method in product(tables, seeds, _LOOPS, METHODS):
            settings = {"epochs": epochs, "start": start}
            case = Case(data=name, method=method, seed=seed, settings=settings)
            if case in known:
                continue
            x, observed, wrong = self._table(name, seed)
            torch.manual_seed(seed)
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                r = METHODS[method](Loops(x, observed, _BATCH[name], epochs, start)).numpy()
            figures = {
                "average_precision": float(average_precision_score(wrong, r)),
                "brier": float(brier_score_loss(wrong, r)),
                "share": float(r.mean()),
                "share_true": float(wrong.mean()),
                "warned": float(any(issubclass(one.category, NBAMWarning) for one in caught)),
            }
            yield Row(case=case, figures=figures, device=CPU)

    def _table(self, name: str, seed: int) -> tuple[Tensor, Tensor, np.ndarray]:
        """Return rows, observed labels, and which of them are wrong."""
        if name == "digits":
            x, y = load_digits(return_X_y=True)
            labels = contaminate(y, SymmetricFlips(10), rate=0.3, seed=seed)
            x = x / 16
        else:
            with np.load(str(self.features)) as file:
                x, y = file["X_train"], file["y_train"]
            labels = contaminate(y, Flips(CIFAR10_FLIPS), rate=0.4, seed=seed)
        rows = torch.as_tensor(x.astype(np.float32))
        return rows, torch.as_tensor(labels.observed), labels.contaminated

    @staticmethod
    def summary(rows: pd.DataFrame) -> str:
        """Return means over seeds by data, loop and method."""
        shown = ["average_precision", "brier", "share", "share_true", "warned"]
        by = ["data", "epochs", "start", "method"]
        return rows.groupby(by, sort=False)[shown].mean().round(3).to_string()
