"""Rates of wrong labels that depend on the place of a row: constant rates, and a Gaussian process.

In the classes with flips, labels are wrong in one half of the feature space only ("local" noise).
The true rate of a row is therefore known. A map of estimated rates is compared with it, and with
the map of an oracle that knows all true labels: a logistic regression of the wrong labels on the
same features of the Gaussian process.
"""

import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Annotated, NamedTuple, final

import numpy as np
import pandas as pd
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from torch import Tensor
from typer import Option

from benchmarks.benchmark import CPU, Benchmark, Case, Row
from benchmarks.label_noise.problems import DATASETS, DataSet, Problem, local_region, make_problem
from benchmarks.options import FirstSeed, Seeds
from nbam_pyro import Fit, LabelFlip, fit
from nbam_pyro.inference import default_steps, rate_map
from nbam_pyro.models import InducingFeatures

# Standard deviation of the Gaussian process, in logits.
SCALE = 2.0


class _Places(NamedTuple):
    """Coordinates of the rows, (N, d), and the features of a Gaussian process over them."""

    at: np.ndarray
    features: InducingFeatures


@final
@dataclass(frozen=True, kw_only=True)
class RateMaps(Benchmark):
    """Maps of the rate of wrong labels on digits: constant rates, a Gaussian process, an oracle."""

    seeds: Seeds = 3
    first_seed: FirstSeed = 0
    rate: Annotated[float, Option(help="Share of wrong labels in the region.")] = 0.4
    points: Annotated[int, Option(help="Number of inducing points.")] = 50
    components: Annotated[int, Option(help="Number of principal components as coordinates.")] = 5
    length: Annotated[float, Option(help="Length in units of the root of the components.")] = 1.0
    epochs: Annotated[int, Option(help="Epochs of one training run.")] = 100

    def measure(self, known: Collection[Case]) -> Iterator[Row]:
        """Yield one row per seed and method: correlation with the true rate, and AUROC of flags."""
        data = DATASETS["digits"]
        for seed in range(self.first_seed, self.first_seed + self.seeds):
            wanted = [name for name in METHODS if self._case(name, seed) not in known]
            if not wanted:
                continue
            problem = make_problem(data, "local", rate=self.rate, seed=seed, root=None)
            places = self._places(problem, seed)
            truth = _true_rates(problem, data, self.rate)
            for name in wanted:
                started = time.perf_counter()
                rates, flags = self._found(name, problem, data, places, seed)
                figures = {
                    "correlation": None if rates is None else _correlation(rates, truth, problem),
                    "auroc": None if flags is None else _auroc(flags, problem),
                    "seconds": round(time.perf_counter() - started, 1),
                }
                yield Row(case=self._case(name, seed), figures=figures, device=CPU)

    def _places(self, problem: Problem, seed: int) -> "_Places":
        """Return principal components of the rows, and a Gaussian process over them."""
        flat = problem.x.reshape(len(problem.x), -1)
        at = PCA(self.components, random_state=0).fit_transform(flat).astype(np.float32)
        spread = float(at.var(0).sum() ** 0.5)
        features = InducingFeatures.of(
            torch.as_tensor(at), points=self.points, length=self.length * spread, seed=seed
        )
        return _Places(at, features)

    def _found(
        self, name: str, problem: Problem, data: DataSet, places: "_Places", seed: int
    ) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Return the estimated rate of each row given its true class, and its flag."""
        if name == "oracle":
            return _oracle(problem, places.features(torch.as_tensor(places.at)), data.classes), None
        torch.manual_seed(seed)
        network = data.network()
        if name == "constant":
            fitted = self._fit(LabelFlip(network, data.classes), problem.x, problem, data, seed)
            return None, fitted.training_rows.responsibility
        story = LabelFlip(network, data.classes, locality=SCALE, over=places.features)
        x = np.concatenate([problem.x, places.at], 1)
        fitted = self._fit(story, x, problem, data, seed)
        rates = np.zeros(len(x))
        for label in range(data.classes):
            own = problem.labels.clean == label
            rates[own] = rate_map(fitted, places.at[own], true_label=label).mean
        return rates, fitted.training_rows.responsibility

    def _fit(
        self, story: LabelFlip, x: np.ndarray, problem: Problem, data: DataSet, seed: int
    ) -> Fit:
        steps = default_steps(story, epochs=self.epochs, lr=data.lr, weight_decay=data.weight_decay)
        return fit(
            story,
            (x, problem.labels.observed),
            held_out=problem.held_out,
            batch_size=data.batch_size,
            seed=seed,
            steps=steps,
            progress=False,
        )

    def _case(self, method: str, seed: int) -> Case:
        settings = {
            "rate": self.rate,
            "points": self.points,
            "components": self.components,
            "length": self.length,
            "epochs": self.epochs,
        }
        return Case(data="digits", method=method, seed=seed, settings=settings)

    @staticmethod
    def summary(rows: pd.DataFrame) -> str:
        """Return the means over seeds, the correlation relative to the oracle, and the gain."""
        table = rows.groupby("method", sort=False)[["correlation", "auroc", "seconds"]].mean()
        text = table.round(4).to_string()
        if set(METHODS) <= set(table.index):
            share = table["correlation"]["process"] / table["correlation"]["oracle"]
            gain = table["auroc"]["process"] - table["auroc"]["constant"]
            text += f"\ncorrelation relative to the oracle {share:.3f}, AUROC gain {gain:+.4f}"
        return text


METHODS = ("constant", "process", "oracle")


def _true_rates(problem: Problem, data: DataSet, rate: float) -> np.ndarray:
    """Return the probability of each row that its label was made wrong, (N,)."""
    clean = problem.labels.clean
    source = np.isin(clean, list(data.flips))
    return rate * (local_region(data, problem.x, clean) & source)


def _correlation(rates: np.ndarray, truth: np.ndarray, problem: Problem) -> float:
    """Return the correlation of both rates, averaged over the classes with flips."""
    clean = problem.labels.clean
    each = [
        float(np.corrcoef(rates[clean == label], truth[clean == label])[0, 1])
        for label in np.unique(clean)
        if np.ptp(truth[clean == label]) > 0
    ]
    return float(np.mean(each))


def _auroc(flags: np.ndarray, problem: Problem) -> float:
    return float(roc_auc_score(problem.labels.observed != problem.labels.clean, flags))


def _oracle(problem: Problem, phi: Tensor, classes: int) -> np.ndarray:
    """Return the rates of a regression of the wrong labels, whose true labels are known, (N,)."""
    clean = problem.labels.clean
    columns = np.concatenate([SCALE * phi.numpy(), 3.0 * np.eye(classes)[clean]], 1)
    wrong = problem.labels.observed != clean
    regression = LogisticRegression(max_iter=1000, fit_intercept=False).fit(columns, wrong)
    found: np.ndarray = regression.predict_proba(columns)[:, 1]
    return found
