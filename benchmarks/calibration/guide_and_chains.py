"""Comparison of the posteriors of rates from SVI and from NUTS.

There are three cases. The first is a line with 20 % outliers, where all parameters have a
posterior. The second is digits with five classes mislabelled at 40 %; the fitted network is frozen,
and rates and flips have a posterior. The option --last-layer adds the third: the last layer of
this network has a posterior, too, which takes many times as long. The guide is trained with
decreasing step sizes and ten draws per step.
"""

import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, final

import numpy as np
import pandas as pd
import torch
import typer
from pyro.infer.autoguide import AutoMultivariateNormal, AutoNormal
from torch import Tensor, nn

from benchmarks.benchmark import CPU, Benchmark, Case, Row
from benchmarks.options import FirstSeed, Seeds, Workers
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

# Number of kept feature components: differences of K logits have at most K - 1 dimensions.
FEATURES, EPOCHS = 9, 1500
PRIOR = FlipPrior(rate=(1, 4), flip=0.5)


def line(seed: int) -> tuple[Story, Tensor, Tensor, dict[str, Tensor]]:
    """Return story, x, y and start of 100 points on a line, of which a fifth are outliers."""
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
    """Return story, log p(class | x) of a frozen network, y and start, of the held-out digits."""
    fitted, x, y = _fitted_digits(seed)
    f = torch.as_tensor(predict(fitted, x)).clamp_min(1e-6).log()
    median = guide_median(fitted.guide)
    start = {"rate": median["rate"], "flip": median["flip"]}
    return LabelFlip(nn.Identity(), 10, prior=PRIOR), f, y, start


def last_layer(seed: int) -> tuple[Story, Tensor, Tensor, dict[str, Tensor]]:
    """Return the same as `digits`, but the last layer of the network has a posterior, too."""
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
    """Return a fit, and the features and labels of its held-out rows."""
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
    """Return the table that compares both posteriors, and the seconds of SVI and NUTS."""
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


CASES: tuple[tuple[str, Any, Any], ...] = (
    ("line", line, AutoMultivariateNormal),
    ("digits", digits, AutoNormal),
    ("last layer", last_layer, AutoNormal),
)


@final
@dataclass(frozen=True, kw_only=True)
class GuideAndChains(Benchmark):
    """Posteriors of rates from a guide and from Markov chains, on a line and on digits."""

    seeds: Seeds = 1
    first_seed: FirstSeed = 0
    samples: Annotated[
        int, typer.Option(min=1, help="Draws of each of four chains. Warm-up is as long.")
    ] = 500
    workers: Workers = 2
    last_layer: Annotated[
        bool, typer.Option("--last-layer", help="Also compare the last layer on digits.")
    ] = False

    def measure(self, known: Collection[Case]) -> Iterator[Row]:
        """Yield one row per parameter, and one row with seconds, for each data set and seed."""
        for seed in range(self.first_seed, self.first_seed + self.seeds):
            for name, make, family in CASES[: 3 if self.last_layer else 2]:
                whole = Case(data=name, method="seconds", seed=seed)
                if whole in known:
                    continue
                table, seconds = compare(
                    make, seed=seed, family=family, samples=self.samples, workers=self.workers
                )
                for number, figures in table.astype(float).iterrows():
                    settings = {"number": str(number)}
                    case = Case(data=name, method="comparison", seed=seed, settings=settings)
                    yield Row(case=case, figures=dict(figures), device=CPU)
                yield Row(case=whole, figures=seconds, device=CPU)

    @staticmethod
    def summary(rows: pd.DataFrame) -> str:
        """Return a table of the rates, and the largest differences, for each data set."""
        numbers = rows[rows["method"] == "comparison"]
        return "\n\n".join(_about(str(name), part) for name, part in numbers.groupby("data"))


def _about(name: str, numbers: pd.DataFrame) -> str:
    of_rates = numbers[numbers["number"].str.match("rate|contamination")]
    columns = ["number", "mean_guide", "mean_chains", "shift", "width", "r_hat", "ess"]
    return (
        f"{name}\n{of_rates[columns].round(3).to_string(index=False)}\n"
        f"largest shift {of_rates['shift'].abs().max():.2f}, widths "
        f"{of_rates['width'].min():.2f} to {of_rates['width'].max():.2f}, r-hat "
        f"{numbers['r_hat'].max():.3f} of all {len(numbers)} numbers"
    )
