"""Test whether `compare_priors` finds the prior that generated the data.

The data follow a linear function of two features, with some broad errors. The contamination switch
has one of four priors: a fixed contamination of .05; one rate from a Beta around .3; rates by group
from .02 to .5; a logit with slope 3 in the first feature. Each prior generates data sets, and each
data set is compared under all four priors. The generator's prior is found if it is within two
standard errors, or within 4 nats, of the best. The generator's prior is first if it is the best by
more than two standard errors.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
import pandas as pd
import torch
from scipy.special import expit, logit
from sklearn.linear_model import HuberRegressor

from benchmarks.benchmark import CPU, Benchmark, Case, Row
from benchmarks.options import FirstSeed, Seeds
from nbam_pyro.data import with_groups
from nbam_pyro.inference import Joint, StartFrom, Step, compare_priors
from nbam_pyro.models import (
    BetaSwitch,
    BroadNormal,
    Component,
    FixedSwitch,
    GroupSwitch,
    LatentSwitch,
    LinearNormal,
    LinearSwitch,
    WithoutGroups,
)

ROWS, GROUPS, SLOPE = 400, 8, 3.0
CANDIDATES = ("fixed", "beta", "groups", "input")


def simulate(generator: str, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw one data set. Returns features with the group code as last column, and targets."""
    rng = np.random.default_rng([seed, CANDIDATES.index(generator)])
    x = rng.normal(size=(ROWS, 2))
    group = rng.integers(GROUPS, size=ROWS)
    of_group = rng.permutation(expit(np.linspace(logit(0.02), logit(0.5), GROUPS)))
    match generator:
        case "fixed":
            rate = np.full(ROWS, 0.05)
        case "beta":
            rate = np.full(ROWS, rng.beta(30, 70))
        case "groups":
            rate = of_group[group]
        case _:
            rate = expit(logit(0.1) + SLOPE * x[:, 0])
    wrong = rng.random(ROWS) < rate
    y = 1.0 + x @ [2.0, -1.0] + rng.normal(size=ROWS)
    y[wrong] = rng.normal(0.0, 12.0, wrong.sum())
    rows, _ = with_groups(torch.as_tensor(x).float(), group, names=range(GROUPS))
    return rows, torch.as_tensor(y).float()


def candidates() -> dict[str, LatentSwitch]:
    """Return one story per prior. All other parts are equal to those of the generator."""
    switches: dict[str, Component] = {
        "fixed": FixedSwitch(0.05),
        "beta": BetaSwitch(3, 7),
        "groups": GroupSwitch(GROUPS),
        "input": LinearSwitch(2, scale=2.0),
    }
    return {name: _story(switch) for name, switch in switches.items()}


def _story(switch: Component) -> LatentSwitch:
    return LatentSwitch(
        switch=switch,
        clean=LinearNormal(2),
        anomaly=BroadNormal(0.0, 12.0),
        trunk=None if isinstance(switch, GroupSwitch) else WithoutGroups(),
    )


def steps(x: torch.Tensor, y: torch.Tensor) -> list[Step]:
    """Return training steps: start from a robust line, then a joint fit with one cycle."""
    line = HuberRegressor().fit(x[:, :-1], y)
    start = {
        "weight": torch.as_tensor(line.coef_).float(),
        "bias": torch.tensor(float(line.intercept_)),
        "noise": torch.tensor(float(line.scale_)),
    }
    joint = Joint(epochs=200, guide_lr=0.05, spread_lr=0.05, one_cycle=True, num_draws=4)
    return [StartFrom(start), joint]


def compare(generator: str, seed: int) -> Row:
    """Compare all four priors on one data set of a generator."""
    x, y = simulate(generator, seed)
    result = compare_priors(
        candidates(),
        x,
        y,
        steps=steps(x, y),
        held_out=0,
        batch_size=ROWS,
        num_draws=100,
        seed=seed,
    )
    table = result.table
    second = table.iloc[1]
    figures = {
        "found": generator in result.within(),
        "first": bool(table.index[0] == generator and abs(second["elpd_diff"]) > 2 * second["dse"]),
        **{f"elpd_{name}": float(table["elpd"][name]) for name in CANDIDATES},
        **{f"dse_{name}": float(table["dse"][name]) for name in CANDIDATES},
    }
    notes = {"best": str(table.index[0])}
    return Row(case=_case(generator, seed), figures=figures, notes=notes, device=CPU)


def _case(generator: str, seed: int) -> Case:
    return Case(data=generator, method="compare_priors", seed=seed)


@final
@dataclass(frozen=True, kw_only=True)
class Priors(Benchmark):
    """How often `compare_priors` finds the contamination prior that generated the data."""

    seeds: Seeds = 5
    first_seed: FirstSeed = 0

    def measure(self, known: Collection[Case]) -> Iterator[Row]:
        """Yield one row per generator and seed."""
        for seed in range(self.first_seed, self.first_seed + self.seeds):
            for generator in CANDIDATES:
                if _case(generator, seed) not in known:
                    yield compare(generator, seed)

    @staticmethod
    def summary(rows: pd.DataFrame) -> str:
        """Return how often the prior of the generator was found, and how often it was first."""
        found = f"The generator is near the best in {rows['found'].sum():.0f} of {len(rows)}."
        firsts = rows[rows["data"].isin(["groups", "input"])].groupby("data")["first"]
        return "\n".join(
            [found]
            + [
                f"{name}: first by two standard errors in {first.sum():.0f} of {len(first)}."
                for name, first in firsts
            ]
        )
