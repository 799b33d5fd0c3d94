"""The contaminated share after some rows were verified: coverage and width of its interval.

The network is fitted once for each problem. Then other rows are drawn and verified many times.
"""

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Annotated, NamedTuple, final

import numpy as np
import pandas as pd
import typer
from scipy import stats
from sklearn.metrics import brier_score_loss

from benchmarks.benchmark import Benchmark, Case, Row
from benchmarks.label_noise.features import NAME
from benchmarks.label_noise.nbam import nbam
from benchmarks.label_noise.parts import PEOPLE, Part, parts
from benchmarks.label_noise.problems import DATASETS
from benchmarks.label_noise.training import Task
from benchmarks.options import (
    DataRoot,
    Device,
    Epochs,
    FeatureFile,
    FirstSeed,
    Names,
    Seeds,
    TrainingRows,
    best_device,
)
from nbam_pyro.decisions import review_queue, reviewed
from nbam_pyro.inference import expected_calibration_error
from nbam_pyro.training.contexts import seeded

__all__ = ["VerifiedRows"]

_PLANTED = (("asymmetric", 0.4),)
_LEVEL = 0.9
_SHOWN = [
    "rate_true",
    "rate_before",
    "brier_before",
    "ece_before",
    "covers",
    "below",
    "width",
    "width_counting",
    "width_ratio",
    "bound",
    "wider",
    "error",
    "brier",
    "ece",
]


class _Drawn(NamedTuple):
    """Places of drawn rows, (n,), and the probabilities of all rows, (N,), or None if equal."""

    places: np.ndarray
    included: np.ndarray | None


def _equal(r: np.ndarray, count: int, seed: int) -> _Drawn:
    return _Drawn(np.random.default_rng(seed).choice(len(r), count, replace=False), None)


def _designed(r: np.ndarray, count: int, seed: int) -> _Drawn:
    queue = review_queue(r, budget=count, design="random", seed=seed)
    places, included = queue["row"].to_numpy(), np.full(len(r), np.nan)
    included[places] = queue["inclusion_probability"]
    return _Drawn(places, included)


# Function of responsibilities, number of rows and seed that draws rows.
METHODS: Mapping[str, Callable[[np.ndarray, int, int], _Drawn]] = MappingProxyType(
    {"equal probabilities": _equal, "random design": _designed}
)


@final
@dataclass(frozen=True, kw_only=True)
class VerifiedRows(Benchmark):
    """Share of wrong labels after 200 rows were verified, drawn 100 times for the same fit."""

    data: Annotated[
        Names,
        typer.Option(
            parser=Names.among((*DATASETS, NAME)), metavar="NAME,...", help="Data sets to use."
        ),
    ] = Names(["digits", NAME])
    noise: Annotated[
        Names,
        typer.Option(
            parser=Names.among([*(kind for kind, _ in _PLANTED), PEOPLE]),
            metavar="NAME,...",
            help="Kinds of noise to use.",
        ),
    ] = Names([*(kind for kind, _ in _PLANTED), PEOPLE])
    features: FeatureFile = None
    train_size: TrainingRows = None
    verified: Annotated[int, typer.Option(min=2, help="Number of rows that are verified.")] = 200
    repeats: Annotated[int, typer.Option(min=1, help="Number of draws for each fit.")] = 100
    seeds: Seeds = 1
    first_seed: FirstSeed = 0
    epochs: Epochs = None
    data_root: DataRoot = None
    device: Device = None

    def measure(self, known: Collection[Case]) -> Iterator[Row]:
        """Yield one row per data set, noise, seed and way to draw rows.

        Raises:
            DataError: Data are missing.
        """
        chosen = parts(
            self.data,
            self.noise,
            _PLANTED,
            features=self.features,
            train_size=self.train_size,
            epochs=self.epochs,
            root=self.data_root,
        )
        for part in chosen:
            for seed in range(self.first_seed, self.first_seed + self.seeds):
                yield from self._rows(part, seed, known)

    def _rows(self, part: Part, seed: int, known: Collection[Case]) -> Iterator[Row]:
        settings = {
            "noise": part.noise,
            "rate_per_class": part.rate,
            "train_size": part.data.train_size,
            "epochs": part.data.epochs,
            "verified": self.verified,
            "repeats": self.repeats,
        }
        make = partial(Case, data=part.name, seed=seed, settings=settings)
        cases = [case for case in (make(method=method) for method in METHODS) if case not in known]
        if not cases:
            return
        device = self.device or best_device()
        task = Task(problem=part.problem(seed=seed), data=part.data, seed=seed, device=device)
        with seeded(seed, devices=True):
            r = nbam(task).flags
        truth = task.problem.labels.contaminated
        for case in cases:
            draws = [METHODS[case.method](r, self.verified, one) for one in range(self.repeats)]
            yield Row(case=case, figures=figures(r, truth, draws), device=device)

    @staticmethod
    def summary(rows: pd.DataFrame) -> str:
        """Return means over seeds by data set, noise and way to draw rows."""
        by = ["data", "noise", "train_size", "verified", "method"]
        means = rows.groupby(by, sort=False, dropna=False)[_SHOWN].mean().round(3)
        return means.reset_index().to_string(index=False)


def figures(r: np.ndarray, truth: np.ndarray, draws: list[_Drawn]) -> dict[str, float | None]:
    """Return figures of the share and of the responsibilities, as means over draws.

    Brier score and calibration error after verification are those of the other rows.

    Args:
        r: Responsibilities, (N,).
        truth: Whether each row is contaminated, (N,) booleans.
        draws: Draws of rows that are verified.
    """
    share, each = float(truth.mean()), []
    brier = float(brier_score_loss(truth, r, labels=[0, 1]))
    for seed, drawn in enumerate(draws):
        known = np.full(len(r), np.nan)
        known[drawn.places] = truth[drawn.places]
        found = reviewed(r, known, inclusion_probability=drawn.included, probability=_LEVEL)
        counted = _counted(truth[_equal(r, len(drawn.places), seed).places], len(r))
        (low, high), rest = found.contamination_interval, np.isnan(known)
        after, true = found.responsibility[rest], truth[rest]
        each.append(
            {
                "covers": low <= share <= high,
                "below": high < share,
                "width": high - low,
                "width_counting": counted[1] - counted[0],
                "covers_counting": counted[0] <= share <= counted[1],
                "wider": high - low > counted[1] - counted[0] + 1e-9,
                "error": abs(found.contamination - share),
                "bias": found.contamination - share,
                "brier": brier_score_loss(true, after, labels=[0, 1]),
                "ece": expected_calibration_error(after, true),
            }
        )
    means = {str(name): float(value) for name, value in pd.DataFrame(each).mean().items()}
    spread = share * (1 - share)
    return {
        "rate_true": share,
        "rate_before": float(r.mean()),
        "brier_before": brier,
        "ece_before": expected_calibration_error(r, truth),
        **means,
        "width_ratio": means["width"] / means["width_counting"],
        "bound": math.sqrt(brier / spread) if spread else None,
    }


def _counted(z: np.ndarray, rows: int) -> tuple[float, float]:
    """Return the interval of the share of all rows from the verified switches alone, (n,)."""
    rest = stats.betabinom(rows - len(z), z.sum() + 0.5, len(z) - z.sum() + 0.5)
    low, high = (z.sum() + rest.ppf([(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])) / rows
    return float(low), float(high)
