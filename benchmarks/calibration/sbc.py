"""Simulation-based calibration of rates and T.

Rates and flip matrix T are drawn from their prior. Labels of 200 rows and three classes are drawn
from the story, with a fixed predictor f. Then rates and T are estimated from these labels. If
inference is exact, the rank of the true value among posterior draws is uniform (Talts et al. 2018).
The ranks of NUTS are tested by chi-squared with Bonferroni's correction. The ranks of the guide are
only shown, because the ranks of a mean-field posterior are not always uniform.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import pandas as pd
import torch
from joblib import Parallel, delayed
from scipy.stats import chisquare
from torch import Tensor, nn

from benchmarks.benchmark import CPU, Benchmark, Case, Row
from benchmarks.options import FirstSeed, Seeds, Workers
from nbam_pyro import FlipPrior, LabelFlip, fit
from nbam_pyro.inference import Joint, guide_draws
from nbam_pyro.inference.posterior.draws import Scored
from nbam_pyro.inference.posterior.predictive import predictive_draws, prior_draws
from nbam_pyro.inference.workflow.mcmc import sample_chains

CLASSES, ROWS, BINS = 3, 200, 10
# Number of draws for a rank, and distance between them in the chain (nearly independent draws).
RANKS, THIN = 99, 3
PRIOR = FlipPrior(rate=(1.0, 4.0), flip=1.0)
NUMBERS = [f"rate[{c}]" for c in range(CLASSES)] + [f"flip[{c}, 0]" for c in range(CLASSES)]


def simulate(seed: int) -> tuple[LabelFlip, Scored, dict[str, Tensor]]:
    """Draw one data set. Return the story, which takes f as x; the rows; and true rates and T."""
    rng = np.random.default_rng(seed)
    true = rng.integers(CLASSES, size=ROWS)
    logits = 2.5 * np.eye(CLASSES)[true] + rng.normal(size=(ROWS, CLASSES))
    x = torch.as_tensor(logits).float()
    story = LabelFlip(nn.Identity(), CLASSES, prior=PRIOR)
    rows = Scored(x, torch.zeros(ROWS, dtype=torch.long))
    drawn = prior_draws(story, rows, 1, seed=seed)
    # The story draws true labels from f. They differ from `true`, which only made x.
    y = torch.as_tensor(predictive_draws(story, rows, drawn, 1, seed=seed)[0, 0])
    return story, rows._replace(y=y), {name: value[0] for name, value in drawn.items()}


def ranks(seed: int) -> dict[str, Any]:
    """Return the ranks of the true values among draws of NUTS and as many of a guide."""
    torch.set_num_threads(1)
    story, rows, truth = simulate(seed)
    chain, diverging = chain_ranks(seed, count=RANKS)
    joint = Joint(epochs=150, guide_lr=0.1, spread_lr=0.1, one_cycle=True, num_draws=4)
    fitted = fit(story, (rows.x, rows.y), steps=[joint], held_out=0, batch_size=ROWS, seed=seed)
    guide = _ranks(guide_draws(fitted.guide, RANKS, seed=seed), truth)
    return {"seed": seed, "nuts": chain, "guide": guide, "diverging": diverging}


def chain_ranks(seed: int, *, count: int) -> tuple[list[int], int]:
    """Return the ranks of the true values among `count` draws of NUTS, and its divergences."""
    story, rows, truth = simulate(seed)
    start = {"rate": torch.full((CLASSES,), 0.2), "flip": torch.full((CLASSES, 2), 0.5)}
    length = THIN * count
    draws, diverging = sample_chains(story, rows, [start], num_samples=length, num_warmup=150)
    kept = {name: value[0, ::THIN] for name, value in draws.items()}
    return _ranks(kept, truth), int(diverging.sum())


def _ranks(draws: dict[str, Tensor], truth: dict[str, Tensor]) -> list[int]:
    """Count draws below the true value, for each rate and the first flip of each class."""
    below = [(draws[n] < truth[n]).sum(0).reshape(CLASSES, -1)[:, 0] for n in ("rate", "flip")]
    return torch.cat(below).tolist()


@final
@dataclass(frozen=True, kw_only=True)
class Sbc(Benchmark):
    """Simulation-based calibration: ranks of true rates and flips among posterior draws."""

    seeds: Seeds = 200
    first_seed: FirstSeed = 0
    workers: Workers = 2

    def measure(self, known: Collection[Case]) -> Iterator[Row]:
        """Yield two rows per simulation: the ranks of NUTS and the ranks of the guide."""
        seeds = range(self.first_seed, self.first_seed + self.seeds)
        missing = [seed for seed in seeds if _case("nuts", seed) not in known]
        found = Parallel(n_jobs=self.workers, return_as="generator")(
            delayed(ranks)(seed) for seed in missing
        )
        for seed, one in zip(missing, found, strict=True):
            diverging = {"nuts": {"diverging": one["diverging"]}, "guide": {}}
            for method, further in diverging.items():
                figures = dict(zip(NUMBERS, one[method], strict=True)) | further
                yield Row(case=_case(method, seed), figures=figures, device=CPU)

    @staticmethod
    def summary(rows: pd.DataFrame) -> str:
        """Return p-values of uniform ranks. Only those of NUTS decide on the verdict."""
        p = {
            method: uniformity(part[NUMBERS].to_numpy(int))
            for method, part in rows.groupby("method")
        }
        lines = [
            f"{name:12} p {nuts:.3f} (guide, not judged: {guide:.3f})"
            for name, nuts, guide in zip(NUMBERS, p["nuts"], p["guide"], strict=True)
        ]
        uniform = min(p["nuts"]) > 0.01 / len(NUMBERS)
        verdict = f"NUTS: {'uniform' if uniform else 'NOT uniform'} at 1 % after Bonferroni."
        return "\n".join([*lines, verdict])


def _case(method: str, seed: int) -> Case:
    return Case(data="simulation", method=method, seed=seed)


def uniformity(found: np.ndarray, *, bins: int = BINS, count: int = RANKS) -> list[float]:
    """Return the p-value of the test of a uniform distribution, for each column of ranks."""
    counts = [np.bincount(column * bins // (count + 1), minlength=bins) for column in found.T]
    return [float(chisquare(count).pvalue) for count in counts]
