"""Regression among wrong measurements: ours beside squared error, Huber's loss and Student-t noise.

    python -m benchmarks.regression --rate 0.1,0.2,0.3,0.4 --methods nbam,mse,huber,student_t \
        --seeds 5 --json benchmarks/results/regression.json

Data: scikit-learn's diabetes (442 rows) and Friedman's first nonlinear function (1000 rows, noise
1), 70 % for training. Contamination of the training targets: "shift", 3 standard deviations of the
clean targets upwards, and "gross", 5 or more of them to either side. Every method has the same
network, the same optimiser, more epochs than the path that ours keeps (which tries four more short
attempts), and keeps the epoch that is best on the same noisy held-out sixth by its own loss. One
JSON array of flat rows is written; rmse_clean is on clean test rows; auroc and brier are of the
flags of the training rows, empty for methods that give none.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from sklearn.datasets import load_diabetes, make_friedman1
from sklearn.metrics import brier_score_loss, roc_auc_score, root_mean_squared_error
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.nn.functional import huber_loss, softplus

from benchmarks.common import environment, write_json
from nbam_pyro import NBAMRegressor
from nbam_pyro.data import Contaminated, Corruption, GrossErrors, Shift, contaminate
from nbam_pyro.models import Rescale, Standardise, mlp
from nbam_pyro.training.contexts import evaluating
from nbam_pyro.training.lightning import Options, Task, train
from nbam_pyro.training.rows import Batch
from nbam_pyro.training.sources import as_rows

# More than ours sees: robust start, the attempt that is continued, joint fit, small steps.
EPOCHS = 210
HUBER = 1.345  # 95 % efficiency at the Normal (Huber 1964)


class Problem(NamedTuple):
    """Training rows with contaminated targets, and clean test rows."""

    x: np.ndarray
    y: Contaminated
    x_test: np.ndarray
    y_test: np.ndarray


class Outcome(NamedTuple):
    """Test predictions and, from a method that flags, responsibilities of the training rows."""

    predicted: np.ndarray
    responsibility: np.ndarray | None


def main() -> None:
    """Measure every combination and write the JSON file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", default="0.1,0.2,0.3,0.4", help="one or more, by commas")
    parser.add_argument("--methods", default=",".join(METHODS), help="by commas")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", type=Path, required=True)
    arguments = parser.parse_args()
    rates = [float(rate) for rate in arguments.rate.split(",")]
    methods = arguments.methods.split(",")
    unknown = sorted(set(methods) - set(METHODS))
    if unknown:
        parser.error(f"unknown methods {unknown}; there are {', '.join(METHODS)}")
    rows = run(rates, methods, arguments.seeds)
    write_json(arguments.json, rows)
    print(table(rows))


def run(rates: Sequence[float], methods: Sequence[str], seeds: int) -> list[dict[str, Any]]:
    """One flat row per data set, contamination, rate, method and seed."""
    machine = environment()
    rows = []
    for dataset in DATASETS:
        for contamination in CONTAMINATIONS:
            for rate in rates:
                for seed in range(seeds):
                    data = problem(dataset, contamination, rate, seed)
                    for method in methods:
                        case = {
                            "dataset": dataset,
                            "contamination": contamination,
                            "rate": rate,
                            "method": method,
                            "seed": seed,
                        }
                        rows.append(case | measure(METHODS[method], data, seed) | machine)
                print(dataset, contamination, rate, flush=True)
    return rows


def problem(dataset: str, contamination: str, rate: float, seed: int) -> Problem:
    """Split, then contaminate the training targets."""
    x, y = DATASETS[dataset](seed)
    train_rows, test_rows = train_test_split(np.arange(len(y)), test_size=0.3, random_state=seed)
    clean = y[train_rows]
    how = CONTAMINATIONS[contamination](float(clean.std()))
    return Problem(
        x[train_rows], contaminate(clean, how, rate=rate, seed=seed), x[test_rows], y[test_rows]
    )


def measure(method: "Method", data: Problem, seed: int) -> dict[str, Any]:
    """The figures of one method."""
    started = time.perf_counter()
    predicted, r = method(data, seed)
    seconds = time.perf_counter() - started
    truth = data.y.contaminated
    return {
        "rmse_clean": float(root_mean_squared_error(data.y_test, predicted)),
        "auroc": None if r is None else float(roc_auc_score(truth, r)),
        "brier": None if r is None else float(brier_score_loss(truth, r)),
        "rate_estimate": None if r is None else float(r.mean()),
        "rate_true": data.y.rate,
        "seconds": round(seconds, 2),
    }


def nbam(data: Problem, seed: int) -> Outcome:
    """The default of the library."""
    model = NBAMRegressor(random_state=seed).fit(data.x, data.y.observed)
    return Outcome(model.predict(data.x_test), model.responsibility_)


class Noise(nn.Module):
    """A loss of standardised residuals, with parameters of its own where it needs them."""

    def __init__(self, loss: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.loss = loss
        self.log_scale = nn.Parameter(torch.tensor(0.0))
        self.raw_df = nn.Parameter(torch.tensor(1.0))

    def forward(self, residual: Tensor) -> Tensor:
        return self.loss(residual, self.log_scale, self.raw_df).mean()


def squared(residual: Tensor, log_scale: Tensor, raw_df: Tensor) -> Tensor:
    """Half the squared error."""
    return 0.5 * residual.square()


def huber(residual: Tensor, log_scale: Tensor, raw_df: Tensor) -> Tensor:
    """Huber's loss with the scale learned beside it, as scikit-learn's HuberRegressor has it."""
    scale = log_scale.exp()
    standardised = residual / scale
    zero = torch.zeros_like(residual)
    return scale * (1 + 2 * huber_loss(standardised, zero, reduction="none", delta=HUBER))


def student_t(residual: Tensor, log_scale: Tensor, raw_df: Tensor) -> Tensor:
    """Student-t noise with scale and degrees of freedom learned."""
    noise = torch.distributions.StudentT(1 + softplus(raw_df), 0.0, log_scale.exp())
    return -noise.log_prob(residual)


def baseline(
    data: Problem, seed: int, *, loss: Callable[[Tensor, Tensor, Tensor], Tensor]
) -> Outcome:
    """The same network trained with another loss."""
    y = torch.as_tensor(data.y.observed)
    centre = y.median()
    scale = 1.4826 * (y - centre).abs().median()
    rows = as_rows((data.x, data.y.observed))
    index = np.arange(len(rows))
    chosen, held_out = train_test_split(index, test_size=round(len(rows) / 6), random_state=seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = nn.Sequential(
            Standardise.of(torch.as_tensor(data.x)),
            mlp(data.x.shape[1], 1, widths=(64, 64), dropout=0.2),
            Rescale(float(centre), float(scale)),
        )
        noise = Noise(loss)

        def of(batch: Batch) -> Tensor:
            value: Tensor = noise((batch[1] - network(batch[0])[:, 0]) / scale.float())
            return value

        groups: list[dict[str, Any]] = [
            {"params": list(network.parameters()), "lr": 2e-3, "weight_decay": 1e-2},
            {"params": list(noise.parameters()), "lr": 2e-2, "weight_decay": 0.0},
        ]
        module = Task([network, noise], loss=of, groups=groups)
        train(module, rows, chosen, held_out, epochs=EPOCHS, options=Options(), label="baseline")
    with torch.no_grad(), evaluating(network):
        predicted = network(torch.as_tensor(data.x_test, dtype=torch.float32))[:, 0]
    return Outcome(predicted.numpy(), None)


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Means over seeds, as text."""
    frame = pd.DataFrame(rows)
    keys = ["dataset", "contamination", "rate", "method"]
    figures = ["rmse_clean", "auroc", "brier", "rate_estimate", "rate_true", "seconds"]
    means = frame.astype(dict.fromkeys(figures, float)).groupby(keys, sort=False)[figures].mean()
    return means.round(3).to_string()


Method = Callable[[Problem, int], Outcome]
METHODS: MappingProxyType[str, Method] = MappingProxyType(
    {
        "nbam": nbam,
        "mse": partial(baseline, loss=squared),
        "huber": partial(baseline, loss=huber),
        "student_t": partial(baseline, loss=student_t),
    }
)
DATASETS: MappingProxyType[str, Callable[[int], tuple[np.ndarray, np.ndarray]]] = MappingProxyType(
    {
        "diabetes": lambda _: load_diabetes(return_X_y=True),
        "friedman": lambda seed: make_friedman1(1000, noise=1.0, random_state=seed),
    }
)
CONTAMINATIONS: MappingProxyType[str, Callable[[float], Corruption]] = MappingProxyType(
    {"shift": lambda unit: Shift(3 * unit), "gross": lambda unit: GrossErrors(5 * unit)}
)

if __name__ == "__main__":
    main()
