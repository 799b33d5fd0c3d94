"""Rates of twenty sources: partial pooling against none and against full pooling.

    python -m benchmarks.pooling --seeds 5 --json benchmarks/results/pooling.json

Measurements of a known quantity with standard Normal errors, from sources of 20 to 500 rows of
which some have made many gross errors and some few. The rate of every source is estimated alone
(`BetaSwitch(1, 1)` of its own rows), with all others as one (`BetaSwitch(1, 1)` of all rows), and
with `GroupSwitch`.
"""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyro.distributions as dist
import torch
import typer
from pyro.distributions import TorchDistribution
from scipy.special import expit
from torch import Tensor

from benchmarks.common import environment, write_json
from nbam_pyro import fit
from nbam_pyro.data import with_groups
from nbam_pyro.inference import Joint, guide_draws
from nbam_pyro.models import BetaSwitch, BroadNormal, Component, GroupSwitch, LatentSwitch
from nbam_pyro.models.latents import Latents

SOURCES, SMALLEST, LARGEST = 20, 20, 500
# Of the logits of the sources' rates.
MIDDLE, SPREAD = -1.7, 1.0
BREADTH = 6.0


class KnownError(Component):
    """Errors of a known size around a known value."""

    def forward(self, h: Tensor, latents: Latents) -> TorchDistribution:
        return dist.Normal(torch.zeros(len(h)), 1.0, validate_args=False)


def simulate(seed: int) -> tuple[np.ndarray, Tensor, np.ndarray]:
    """The source of every row, the errors, and the true rate of every source."""
    rng = np.random.default_rng(seed)
    sizes = np.geomspace(SMALLEST, LARGEST, SOURCES).round().astype(int)
    rates = expit(MIDDLE + SPREAD * rng.normal(size=SOURCES))
    source = np.repeat(np.arange(SOURCES), sizes)
    wrong = rng.random(len(source)) < rates[source]
    y = rng.normal(size=len(source)) * np.where(wrong, BREADTH, 1.0)
    return source, torch.as_tensor(y).float(), rates


def estimates(source: np.ndarray, y: Tensor, *, epochs: int = 300) -> dict[str, np.ndarray]:
    """Posterior mean rates of the sources by how they are pooled."""
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


def main(
    seeds: Annotated[int, typer.Option(help="Data sets, seeds 0, 1, ...")] = 5,
    first_seed: Annotated[int, typer.Option(help="The first seed.")] = 0,
    json_file: Annotated[Path | None, typer.Option("--json", help="File to write.")] = None,
) -> None:
    """Measure the root mean squared error of the sources' rates."""
    rows: list[dict[str, Any]] = []
    for seed in range(first_seed, first_seed + seeds):
        source, y, rates = simulate(seed)
        errors = {
            f"rmse_{name}": float(np.sqrt(np.mean((found - rates) ** 2)))
            for name, found in estimates(source, y).items()
        }
        rows.append({"seed": seed, **errors, **environment(torch.device("cpu"))})
        typer.echo(f"seed {seed}: " + " ".join(f"{n} {v:.4f}" for n, v in errors.items()))
    if json_file is not None:
        write_json(json_file, rows)


if __name__ == "__main__":
    typer.run(main)
