"""Regression on partly wrong measurements, compared with three losses.

The losses are the squared error, Huber's loss and Student-t noise. The data are scikit-learn's
diabetes (442 rows) and Friedman's first nonlinear function (1000 rows, noise 1); 70 % of the rows
are for training. Training targets have one of two kinds of contamination: "shift" adds 3 standard
deviations of the clean targets, and "gross" adds or subtracts 5 or more of them.

All methods use the same network and optimiser. Each selects its epoch by its own loss on the same
held-out sixth of the noisy rows. The losses train for more epochs than the attempt that our method
keeps; our method also makes four other short attempts.

`rmse_clean` is measured on clean test rows. `auroc` and `brier` judge the flags of the training
rows; they are None for methods without flags.
"""

import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product
from types import MappingProxyType
from typing import Annotated, Any, NamedTuple, final

import numpy as np
import pandas as pd
import torch
import typer
from sklearn.datasets import load_diabetes, make_friedman1
from sklearn.metrics import brier_score_loss, roc_auc_score, root_mean_squared_error
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.nn.functional import huber_loss, softplus

from benchmarks.benchmark import Benchmark, Case, Row
from benchmarks.options import FirstSeed, Names, Rates, Seeds, Shares
from nbam_pyro import NBAMRegressor
from nbam_pyro.data import Contaminated, Corruption, GrossErrors, Shift, contaminate
from nbam_pyro.models import Rescale, Standardise, mlp
from nbam_pyro.training.contexts import evaluating
from nbam_pyro.training.lightning import Options, Task, train
from nbam_pyro.training.rows import Batch
from nbam_pyro.training.sources import as_rows

# Larger than the total of our robust start, continued attempt, joint fit and small steps.
EPOCHS = 210
HUBER = 1.345  # 95 % efficiency at the Normal (Huber 1964)


class Problem(NamedTuple):
    """Training rows with contaminated targets, and clean test rows."""

    x: np.ndarray
    y: Contaminated
    x_test: np.ndarray
    y_test: np.ndarray


class Outcome(NamedTuple):
    """Test predictions, and responsibilities of the training rows (None without flags)."""

    predicted: np.ndarray
    responsibility: np.ndarray | None


def problem(dataset: str, contamination: str, rate: float, seed: int) -> Problem:
    """Split the rows of a data set and contaminate the training targets."""
    x, y = DATASETS[dataset](seed)
    train_rows, test_rows = train_test_split(np.arange(len(y)), test_size=0.3, random_state=seed)
    clean = y[train_rows]
    how = CONTAMINATIONS[contamination](float(clean.std()))
    return Problem(
        x[train_rows], contaminate(clean, how, rate=rate, seed=seed), x[test_rows], y[test_rows]
    )


def measure(method: "Method", data: Problem, seed: int) -> dict[str, Any]:
    """Fit one method and return its figures by name."""
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
    """Fit `NBAMRegressor` with its defaults."""
    model = NBAMRegressor(random_state=seed).fit(data.x, data.y.observed)
    return Outcome(model.predict(data.x_test), model.responsibility_)


class Noise(nn.Module):
    """Mean loss of standardised residuals, with a learned scale and degrees of freedom."""

    def __init__(self, loss: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.loss = loss
        self.log_scale = nn.Parameter(torch.tensor(0.0))
        self.raw_df = nn.Parameter(torch.tensor(1.0))

    def forward(self, residual: Tensor) -> Tensor:
        return self.loss(residual, self.log_scale, self.raw_df).mean()


def squared(residual: Tensor, log_scale: Tensor, raw_df: Tensor) -> Tensor:
    """Return half the squared error of each row."""
    return 0.5 * residual.square()


def huber(residual: Tensor, log_scale: Tensor, raw_df: Tensor) -> Tensor:
    """Return Huber's loss with a learned scale, as in scikit-learn's HuberRegressor."""
    scale = log_scale.exp()
    standardised = residual / scale
    zero = torch.zeros_like(residual)
    return scale * (1 + 2 * huber_loss(standardised, zero, reduction="none", delta=HUBER))


def student_t(residual: Tensor, log_scale: Tensor, raw_df: Tensor) -> Tensor:
    """Return the negative log density of Student-t noise with learned scale and freedom."""
    noise = torch.distributions.StudentT(1 + softplus(raw_df), 0.0, log_scale.exp())
    return -noise.log_prob(residual)


def baseline(
    data: Problem, seed: int, *, loss: Callable[[Tensor, Tensor, Tensor], Tensor]
) -> Outcome:
    """Train the same network with another loss. The outcome has no responsibilities."""
    y = torch.as_tensor(data.y.observed)
    centre = y.median()
    scale = 1.4826 * (y - centre).abs().median()
    rows = as_rows((data.x, data.y.observed))
    index = np.arange(len(rows))
    chosen, held_out = train_test_split(index, test_size=round(len(rows) / 6), random_state=seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = nn.Sequential(
            Standardise.of(torch.as_tensor(data.x).float()),
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


@final
@dataclass(frozen=True, kw_only=True)
class Regression(Benchmark):
    """Test errors of `NBAMRegressor` and of three losses on partly wrong measurements."""

    rates: Rates = Shares((0.1, 0.2, 0.3, 0.4))
    methods: Annotated[
        Names, typer.Option(parser=Names.among(METHODS), metavar="NAME,...", help="Methods to fit.")
    ] = Names(METHODS)
    data: Annotated[
        Names,
        typer.Option(parser=Names.among(DATASETS), metavar="NAME,...", help="Data sets to use."),
    ] = Names(DATASETS)
    seeds: Seeds = 5
    first_seed: FirstSeed = 0

    def measure(self, known: Collection[Case]) -> Iterator[Row]:
        """Yield one row per data set, kind of contamination, rate, seed and method."""
        seeds = range(self.first_seed, self.first_seed + self.seeds)
        for name, kind, rate, seed in product(self.data, CONTAMINATIONS, self.rates, seeds):
            settings = {"contamination": kind, "rate": rate}
            given = problem(name, kind, rate, seed)
            for method in self.methods:
                case = Case(data=name, method=method, seed=seed, settings=settings)
                if case not in known:
                    yield Row(case=case, figures=measure(METHODS[method], given, seed))

    @staticmethod
    def summary(rows: pd.DataFrame) -> str:
        """Return a table of means over seeds."""
        keys = ["data", "contamination", "rate", "method"]
        means = rows.groupby(keys, sort=False).mean(numeric_only=True).drop(columns="seed")
        return means.round(3).to_string()
