"""Do SVI's and NUTS's posteriors of rates agree?

    python -m benchmarks.agreement --json benchmarks/results/agreement.json

On a line with 20 % outliers, all of whose numbers have a posterior; and on digits with five classes
mislabelled at 40 %, where a fitted network is frozen and rates and flips have one; with
--last-layer its last layer, too, which takes many times as long. The guide has falling steps and
ten draws a step.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import torch
import typer
from pyro.infer.autoguide import AutoMultivariateNormal, AutoNormal
from torch import Tensor, nn

from benchmarks.common import environment, write_json
from nbam_pyro import FlipPrior, LabelFlip, LatentSwitch, fit, to_datatree
from nbam_pyro.data import flipped_digits
from nbam_pyro.inference import (
    Fit,
    Joint,
    StartFrom,
    guide_and_chains,
    guide_median,
    nuts,
    predict,
)
from nbam_pyro.models import BetaSwitch, BroadNormal, LinearNormal, Story, mlp

# Components of the features that are kept: all that classes differ by lies in fewer than K.
FEATURES, EPOCHS = 9, 1500
PRIOR = FlipPrior(rate=(1, 4), flip=0.5)


def line(seed: int) -> tuple[Story, Tensor, Tensor, dict[str, Tensor]]:
    """A story of 100 points on a line, a fifth of them anywhere; and a start."""
    rng = np.random.default_rng(seed)
    x = np.linspace(0, 5, 100)[:, None]
    y = 1 + 2 * x[:, 0] + 0.5 * rng.normal(size=100)
    wrong = rng.permutation(100)[:20]
    y[wrong] = rng.uniform(-30, 30, 20)
    story = LatentSwitch(
        switch=BetaSwitch(1, 9), clean=LinearNormal(1), anomaly=BroadNormal(0.0, 18.0)
    )
    start = {"weight": torch.tensor([2.0]), "noise": torch.tensor(1.0)}
    return story, torch.as_tensor(x).float(), torch.as_tensor(y).float(), start


def digits(seed: int) -> tuple[Story, Tensor, Tensor, dict[str, Tensor]]:
    """A story of the rates and flips of held-out digits given a fitted network; and a start."""
    fitted, x, y = _fitted_digits(seed)
    f = torch.as_tensor(predict(fitted, x)).clamp_min(1e-6).log()
    median = guide_median(fitted.guide)
    start = {"rate": median["rate"], "flip": median["flip"]}
    return LabelFlip(nn.Identity(), 10, prior=PRIOR), f, y, start


def last_layer(seed: int) -> tuple[Story, Tensor, Tensor, dict[str, Tensor]]:
    """As `digits`, and the last layer has a posterior given the features before it."""
    fitted, x, y = _fitted_digits(seed)
    trunk, head = fitted.story.network  # type: ignore[misc]
    with torch.no_grad():
        h = trunk.eval()(torch.as_tensor(x).float())  # type: ignore[operator]
    weight = head.weight.detach()  # type: ignore[operator]
    directions = torch.linalg.svd(weight, full_matrices=False).Vh[:FEATURES]
    features = h @ directions.T
    scale = features.std(0)
    median = guide_median(fitted.guide)
    start = {
        "weight": weight @ directions.T * scale,
        "rate": median["rate"],
        "flip": median["flip"],
    }
    network = nn.Sequential(nn.Linear(FEATURES, 10))
    return LabelFlip(network, 10, prior=PRIOR, last_layer=3.0), features / scale, y, start


def _fitted_digits(seed: int) -> tuple[Fit, np.ndarray, Tensor]:
    """A fit, and the rows that it was not trained on."""
    data = flipped_digits(seed=seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        fitted = fit(LabelFlip(mlp(64, 10), 10), (data.x, data.labels.observed), seed=seed)
    rows = fitted.held_out
    return fitted, data.x[rows], torch.as_tensor(data.labels.observed[rows])


def compare(
    make: Callable[[int], tuple[Story, Tensor, Tensor, dict[str, Tensor]]],
    *,
    seed: int,
    family: Any,
    samples: int,
    workers: int,
) -> tuple[pd.DataFrame, dict[str, float]]:
    """The table of both posteriors, and seconds of both."""
    story, x, y, start = make(seed)
    joint = Joint(
        epochs=EPOCHS,
        patience=EPOCHS,
        guide_lr=0.05,
        spread_lr=0.05,
        one_cycle=True,
        num_draws=10,
    )
    began = time.perf_counter()
    fitted = fit(
        story,
        (x, y),
        steps=[StartFrom(start), joint],
        guide=family,
        held_out=0,
        batch_size=len(y),
        seed=seed,
    )
    between = time.perf_counter()
    guide = to_datatree(fitted, x, y, num_draws=4000, num_predictive=1)
    chains = nuts(fitted, x, y, num_samples=samples, num_warmup=samples, chains=4, workers=workers)
    seconds = {"svi": between - began, "nuts": time.perf_counter() - between}
    return guide_and_chains(guide, chains), seconds


def main(
    seed: Annotated[int, typer.Option(help="Of data and fits.")] = 0,
    samples: Annotated[int, typer.Option(help="Of each of four chains, after as many.")] = 500,
    workers: Annotated[int, typer.Option(help="Processes.")] = 2,
    also_last_layer: Annotated[
        bool, typer.Option("--last-layer", help="Compare the last layer of digits, too.")
    ] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="File to write.")] = None,
) -> None:
    """Compare a guide with Markov chains on a line and on digits."""
    results = []
    cases: list[tuple[str, Any, Any, str]] = [
        ("line", line, AutoMultivariateNormal, "contamination"),
        ("digits", digits, AutoNormal, "rate"),
    ]
    if also_last_layer:
        cases.append(("last layer", last_layer, AutoNormal, "rate"))
    for name, make, family, rates in cases:
        table, seconds = compare(make, seed=seed, family=family, samples=samples, workers=workers)
        of_rates = table[table.index.str.startswith(rates)]
        typer.echo(f"{name}\n{of_rates.round(3).to_string()}")
        typer.echo(
            f"largest shift {of_rates['shift'].abs().max():.2f}, widths "
            f"{of_rates['width'].min():.2f} to {of_rates['width'].max():.2f}, r-hat "
            f"{table['r_hat'].max():.3f} of all {len(table)} numbers"
        )
        records = table.rename_axis("name").reset_index().to_dict("records")
        results.append({"data": name, "seed": seed, "numbers": records, "seconds": seconds})
    if json_file is not None:
        write_json(json_file, [one | environment(torch.device("cpu")) for one in results])


if __name__ == "__main__":
    typer.run(main)
