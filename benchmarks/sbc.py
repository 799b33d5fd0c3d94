"""Simulation-based calibration of rates and T.

    python -m benchmarks.sbc --simulations 200 --json benchmarks/results/sbc.json

Rates and T are drawn from their prior, labels of 200 rows of three classes from the story with
f frozen, and both are inferred again. Where inference is exact, the rank of the truth among the
draws of its posterior is uniform (Talts et al. 2018). Ranks of NUTS are tested, by chi-squared with
Bonferroni's correction; those of the guide are shown beside: a mean-field posterior need not be
uniform.
"""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from joblib import Parallel, delayed
from scipy.stats import chisquare
from torch import Tensor, nn

from benchmarks.common import environment, write_json
from nbam_pyro import FlipPrior, LabelFlip, fit
from nbam_pyro.inference import Joint, guide_draws
from nbam_pyro.inference.posterior.draws import Scored
from nbam_pyro.inference.posterior.predictive import predictive_draws, prior_draws
from nbam_pyro.inference.workflow.mcmc import sample_chains

CLASSES, ROWS, BINS = 3, 200, 10
# Ranks among so many draws, far enough apart to be nearly independent.
RANKS, THIN = 99, 3
PRIOR = FlipPrior(rate=(1.0, 4.0), flip=1.0)


def simulate(seed: int) -> tuple[LabelFlip, Scored, dict[str, Tensor]]:
    """A story with f as its input, rows, and the rates and T that their labels came from."""
    rng = np.random.default_rng(seed)
    true = rng.integers(CLASSES, size=ROWS)
    logits = 2.5 * np.eye(CLASSES)[true] + rng.normal(size=(ROWS, CLASSES))
    x = torch.as_tensor(logits).float()
    story = LabelFlip(nn.Identity(), CLASSES, prior=PRIOR)
    rows = Scored(x, torch.zeros(ROWS, dtype=torch.long))
    drawn = prior_draws(story, rows, 1, seed=seed)
    # The story's own labels: true labels come from f, not from what x was made of.
    y = torch.as_tensor(predictive_draws(story, rows, drawn, 1, seed=seed)[0, 0])
    return story, rows._replace(y=y), {name: value[0] for name, value in drawn.items()}


def ranks(seed: int) -> dict[str, Any]:
    """Ranks of the truth among draws of NUTS and of a guide, by number, for one simulation."""
    torch.set_num_threads(1)
    story, rows, truth = simulate(seed)
    start = {"rate": torch.full((CLASSES,), 0.2), "flip": torch.full((CLASSES, 2), 0.5)}
    length = THIN * RANKS
    draws, diverging = sample_chains(story, rows, [start], num_samples=length, num_warmup=150)
    chain = {name: value[0, ::THIN] for name, value in draws.items()}
    joint = Joint(epochs=150, guide_lr=0.1, spread_lr=0.1, one_cycle=True, num_draws=4)
    fitted = fit(story, (rows.x, rows.y), steps=[joint], held_out=0, batch_size=ROWS, seed=seed)
    guide = guide_draws(fitted.guide, RANKS, seed=seed)
    return {
        "seed": seed,
        "nuts": _ranks(chain, truth),
        "guide": _ranks(guide, truth),
        "diverging": int(diverging.sum()),
    }


def _ranks(draws: dict[str, Tensor], truth: dict[str, Tensor]) -> list[int]:
    """How many draws of every rate, and of the first flip of every class, are below the truth."""
    below = [(draws[n] < truth[n]).sum(0).reshape(CLASSES, -1)[:, 0] for n in ("rate", "flip")]
    return torch.cat(below).tolist()


def main(
    simulations: Annotated[int, typer.Option(help="How many, seeds 0, 1, ...")] = 200,
    first_seed: Annotated[int, typer.Option(help="The first seed.")] = 0,
    workers: Annotated[int, typer.Option(help="Processes.")] = 2,
    json_file: Annotated[Path | None, typer.Option("--json", help="File to write.")] = None,
) -> None:
    """Are ranks of true rates and flips uniform among posterior draws?"""
    seeds = range(first_seed, first_seed + simulations)
    rows = Parallel(n_jobs=workers)(delayed(ranks)(seed) for seed in seeds)
    names = [f"rate[{c}]" for c in range(CLASSES)] + [f"flip[{c}, 0]" for c in range(CLASSES)]
    tests = {kind: uniformity(np.array([row[kind] for row in rows])) for kind in ("nuts", "guide")}
    for i, name in enumerate(names):
        typer.echo(
            f"{name:12} p {tests['nuts'][i]:.3f} (guide, not judged: {tests['guide'][i]:.3f})"
        )
    uniform = min(tests["nuts"]) > 0.01 / len(names)
    typer.echo(f"NUTS: {'uniform' if uniform else 'NOT uniform'} at 1 % after Bonferroni.")
    if json_file is not None:
        result = {"names": names, "p": tests, "uniform": uniform, "simulations": rows}
        write_json(json_file, result | environment(torch.device("cpu")))
    if not uniform:
        raise typer.Exit(1)


def uniformity(found: np.ndarray, *, bins: int = BINS) -> list[float]:
    """The p-value of a uniform distribution over bins, for every column of ranks."""
    counts = [np.bincount(column * bins // (RANKS + 1), minlength=bins) for column in found.T]
    return [float(chisquare(count).pvalue) for count in counts]


if __name__ == "__main__":
    typer.run(main)
