"""Rates of twenty sources: partial pooling compared with no pooling and full pooling.

Twenty sources measure a known quantity with standard Normal errors. Each source has 20 to 500 rows
and its own rate of gross errors. The rates are estimated in three ways: without pooling
(`BetaSwitch(1, 1)` on the rows of one source), with full pooling (`BetaSwitch(1, 1)` on all rows)
and with partial pooling (`GroupSwitch`).
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
import pandas as pd
import pyro.distributions as dist
import torch
from pyro.distributions import TorchDistribution
from scipy.special import expit
from torch import Tensor

from benchmarks.benchmark import CPU, Benchmark, Case, Row
from benchmarks.options import FirstSeed, Seeds
from nbam_pyro import fit
from nbam_pyro.data import with_groups
from nbam_pyro.inference import Joint, guide_draws
from nbam_pyro.models import (
    BetaSwitch,
    BroadNormal,
    Component,
    GroupSwitch,
    Latents,
    LatentSwitch,
)

SOURCES, SMALLEST, LARGEST = 20, 20, 500
# Mean and standard deviation of the logits of the sources' rates.
MIDDLE, SPREAD = -1.7, 1.0
BREADTH = 6.0


class KnownError(Component):
    """Standard Normal likelihood without parameters."""

    def forward(self, h: Tensor, latents: Latents) -> TorchDistribution:
        return dist.Normal(torch.zeros(len(h)), 1.0, validate_args=False)


def simulate(seed: int) -> tuple[np.ndarray, Tensor, np.ndarray]:
    """Draw one data set. Returns the source and error of each row, and the rate of each source."""
    rng = np.random.default_rng(seed)
    sizes = np.geomspace(SMALLEST, LARGEST, SOURCES).round().astype(int)
    rates = expit(MIDDLE + SPREAD * rng.normal(size=SOURCES))
    source = np.repeat(np.arange(SOURCES), sizes)
    wrong = rng.random(len(source)) < rates[source]
    y = rng.normal(size=len(source)) * np.where(wrong, BREADTH, 1.0)
    return source, torch.as_tensor(y).float(), rates


def estimates(source: np.ndarray, y: Tensor, *, epochs: int = 300) -> dict[str, np.ndarray]:
    """Return posterior mean rates of all sources for "partial", "none" and "full" pooling."""
    x = torch.zeros(len(y), 1)
    rows, _ = with_groups(x, source, names=range(SOURCES))
    partial = _draws(GroupSwitch(SOURCES), rows, y, epochs)
    logits = partial["intercept"][:, None] + partial["group_spread"][:, None] * partial["group"]
    alone = [
        _draws(BetaSwitch(1, 1), x[source == g], y[source == g], epochs)["contamination"].mean()
        for g in range(SOURCES)
    ]
    as_one = _draws(BetaSwitch(1, 1), x, y, epochs)["contamination"].mean()
    return {
        "partial": logits.sigmoid().mean(0).numpy(),
        "none": np.asarray(alone),
        "full": np.full(SOURCES, float(as_one)),
    }


def _draws(switch: Component, x: Tensor, y: Tensor, epochs: int) -> dict[str, Tensor]:
    story = LatentSwitch(switch=switch, clean=KnownError(), anomaly=BroadNormal(0.0, BREADTH))
    joint = Joint(epochs=epochs, guide_lr=0.05, spread_lr=0.05, one_cycle=True, num_draws=4)
    fitted = fit(story, (x, y), steps=[joint], held_out=0, batch_size=len(y))
    return guide_draws(fitted.guide, 1000)


@final
@dataclass(frozen=True, kw_only=True)
class Pooling(Benchmark):
    """Errors of the estimated rates of twenty sources with partial, no and full pooling."""

    seeds: Seeds = 5
    first_seed: FirstSeed = 0

    def measure(self, known: Collection[Case]) -> Iterator[Row]:
        """Yield one row per seed and kind of pooling: root mean squared error of the rates."""
        for seed in range(self.first_seed, self.first_seed + self.seeds):
            if _case("partial", seed) in known:
                continue
            source, y, rates = simulate(seed)
            for name, found in estimates(source, y).items():
                rmse = float(np.sqrt(np.mean((found - rates) ** 2)))
                yield Row(case=_case(name, seed), figures={"rmse": rmse}, device=CPU)

    @staticmethod
    def summary(rows: pd.DataFrame) -> str:
        """Return a table of root mean squared errors by seed, and their means."""
        table = rows.pivot(index="seed", columns="method", values="rmse")
        table.loc["mean"] = table.mean()
        return table.round(4).to_string()


def _case(method: str, seed: int) -> Case:
    return Case(data="twenty sources", method=method, seed=seed)
