"""Detectors that do not use a nuisance: weights, erasure and critic, on five kinds of data.

`synthetic_a` and `synthetic_b` have exact accuracies. `synthetic_c` compares simulated AUROCs of
max logit and Mahalanobis scores with exact ones. `digits` and `borders` are images with a colour or
a texture; `jets` are rows with a mass.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, final

import numpy as np
import pandas as pd
import typer
from scipy.stats import chi2, ncx2
from sklearn.metrics import roc_auc_score
from torch import nn

from benchmarks.benchmark import CPU, Benchmark, Case, Row
from benchmarks.detection.nurd_data import (
    EXACT_A,
    EXACT_B,
    auroc_of_max_logit,
    max_logits,
    synthetic_a,
    synthetic_b,
)
from benchmarks.detection.nurd_images import Pictures, borders, digits
from benchmarks.detection.nurd_jets import SIGNALS, jets
from benchmarks.detection.nurd_methods import Fitted, fitted
from benchmarks.options import DataRoot, FirstSeed, Names, Seeds, one_of
from nbam_pyro.detection import AnomalyDetector, AutoEncoder, Blind
from nbam_pyro.detection.representations import perceptron, probe
from nbam_pyro.detection.representations.scoring import Score
from nbam_pyro.detection.sculpting import sculpting_table
from nbam_pyro.errors import DataError

Figures = Mapping[str, float | None]
Found = Iterator[tuple[dict[str, object], Figures]]

_SCORES: Mapping[str, Score] = {"md": "mahalanobis", "ml": "max_logit"}
_ROWS = 10_000
_TESTS = 20_000
_DRAWS = 100_000


@dataclass(frozen=True)
class _Study:
    """A kind of data: its methods, and the function that measures one of them."""

    methods: tuple[str, ...]
    measure: Callable[[str, int, Path | None], Found]


def _linear(method: str, width: int) -> tuple[Callable[[int], nn.Module], dict[str, Any]]:
    """Return a linear encoder, of one column where it must be independent itself."""
    critic = method == "nurd"
    return partial(perceptron, widths=[1 if critic else width]), {
        "epochs": 60 if critic else 10,
        "lr": 1e-2,
    }


def _continuous(method: str, seed: int, root: Path | None) -> Found:
    rng = np.random.default_rng(seed)
    train = synthetic_a(_ROWS, 0.5, rng)
    tests = {a: synthetic_a(_TESTS, a, rng) for a in (0.5, 0.0, -0.9)}
    encoder, settings = _linear(method, 2)
    detector = fitted(method, encoder, train, random_state=seed, **settings)
    for a, (x, y, _) in tests.items():
        accuracy = float((detector.classify(x) == y).mean())
        yield {"a": a}, {"accuracy": accuracy, "exact": EXACT_A, **_probed(detector)}


def _binary(method: str, seed: int, root: Path | None) -> Found:
    rng = np.random.default_rng(seed)
    train = synthetic_b(_ROWS, 0.9, rng)
    tests = {rho: synthetic_b(_TESTS, rho, rng) for rho in (0.9, 0.5, 0.1)}
    encoder, settings = _linear(method, 2)
    detector = fitted(method, encoder, train, random_state=seed, **settings)
    for rho, (x, y, _) in tests.items():
        accuracy = float((detector.classify(x) == y).mean())
        yield {"rho": rho}, {"accuracy": accuracy, "exact": EXACT_B, **_probed(detector)}


def _scores(method: str, seed: int, root: Path | None) -> Found:
    rng = np.random.default_rng(seed)
    truth = np.repeat([0, 1], _DRAWS)
    if method == "max-logit":
        for mu in (1.5, 2.0, 3.0):
            for rho in (0.5, 0.7, 0.9, 0.95, 0.99):
                found = np.concatenate(max_logits(_DRAWS, mu, rho, rng))
                auroc = float(roc_auc_score(truth, found))
                yield {"mu": mu, "rho": rho}, {"auroc": auroc, "exact": auroc_of_max_logit(mu, rho)}
        return
    for delta in (2.0, 3.0, 4.0):
        for directions in (0, 1, 4, 16, 64):
            freedom = 1 + directions
            points = chi2.ppf((np.arange(5000) + 0.5) / 5000, freedom)
            found = np.r_[
                rng.chisquare(freedom, _DRAWS),
                rng.noncentral_chisquare(freedom, delta**2, _DRAWS),
            ]
            yield (
                {"delta": delta, "directions": directions},
                {
                    "auroc": float(roc_auc_score(truth, found)),
                    "exact": float(ncx2.sf(points, freedom, delta**2).mean()),
                },
            )


def _images(
    make: Callable[[int, Path | None], Pictures],
    settings: Mapping[str, Any],
    method: str,
    seed: int,
    root: Path | None,
) -> Found:
    data = make(seed, root)
    encoder = partial(perceptron, widths=[128, 32, 8])
    detector = fitted(method, encoder, data.train, random_state=seed, **settings)
    right = detector.classify(data.x) == data.y
    truth = np.repeat([0, 1], [len(data.x), len(data.odd)])
    found: dict[str, float | None] = {
        "accuracy": float(right.mean()),
        "accuracy_disagreeing": float(right[data.u != data.y].mean()),
    }
    for name, score in _SCORES.items():
        values = detector.scores(np.concatenate([data.x, data.odd]), score)
        found[f"{name}_auroc"] = float(roc_auc_score(truth, values))
    # A fresh probe of the sign of the texture, or of the colour, on test rows.
    fresh = probe(detector.transform(data.x), data.y, data.u, seed=seed)
    found |= {"fresh_linear": fresh.linear, "fresh_nonlinear": fresh.nonlinear}
    yield {}, found | _probed(detector)


def _jets(method: str, seed: int, root: Path | None) -> Found:
    data = jets(seed)
    rows, y, _ = data.train
    if method == "ae":
        alone = AnomalyDetector(
            AutoEncoder, assignment=Blind(), contamination=0.1, members=1, random_state=seed
        ).fit(rows[y == 0])
        yield {"score": "reconstruction"}, _sculpted(alone.decision_function, data)
        return
    critic = method == "nurd"
    # Variances change with the mass along some directions of the features only. A linear encoder
    # keeps them apart.
    widths = [rows.shape[1]] if method == "erased-spread" else [64, 64, 6]
    encoder, epochs = partial(perceptron, widths=widths), 60 if critic else 12
    detector = fitted(method, encoder, data.train, random_state=seed, epochs=epochs)
    for name, score in _SCORES.items():
        found = _sculpted(partial(detector.scores, score=score), data)
        yield {"score": name}, found | _probed(detector)


def _sculpted(scores: Callable[[np.ndarray], np.ndarray], data: Any) -> dict[str, float | None]:
    rows, mass = data.background
    background = scores(rows)
    signals = {centre: scores(one) for centre, one in data.signals.items()}
    found: dict[str, float | None] = {}
    for centre, values in signals.items():
        truth = np.repeat([0, 1], [len(background), len(values)])
        found[f"auroc_{centre}"] = float(roc_auc_score(truth, np.r_[background, values]))
    found["auroc"] = float(np.mean([found[f"auroc_{centre}"] for centre in SIGNALS]))
    together = np.concatenate(list(signals.values()))
    table = sculpting_table(background, mass, signal=together, efficiencies=(0.01, 0.05))
    for efficiency, row in table.iterrows():
        for name in ("jsd", "jsd_floor", "wasserstein", "wasserstein_floor", "significance"):
            found[f"{name}_{100 * float(str(efficiency)):g}"] = float(row[name])
    return found


def _probed(detector: Fitted) -> dict[str, float | None]:
    found = detector.probe
    return {
        "probe_linear": found.linear,
        "probe_nonlinear": found.nonlinear,
        "probe_chance": found.chance,
        "ess": None if detector.weights is None else detector.weights.ess,
    }


_USUAL = ("erm", "weights", "nurd", "erased")
_LATENT = (*_USUAL, "erm-latent", "erased-latent")
_STUDIES = {
    "synthetic_a": _Study(_USUAL, _continuous),
    "synthetic_b": _Study(_USUAL, _binary),
    "synthetic_c": _Study(("max-logit", "mahalanobis"), _scores),
    "digits": _Study(
        _LATENT, partial(_images, digits, {"epochs": 60, "batch_size": 64, "held_out": 0.25})
    ),
    "borders": _Study(_LATENT, partial(_images, borders, {"epochs": 12})),
    "jets": _Study((*_USUAL, "erased-spread", "ae"), _jets),
}


@final
@dataclass(frozen=True, kw_only=True)
class Nurd(Benchmark):
    """Accuracy, AUROC and sculpting of detectors that must not use a nuisance."""

    data: Annotated[
        str,
        typer.Option(parser=one_of(_STUDIES), metavar="NAME", help=f"Data: {', '.join(_STUDIES)}."),
    ] = "synthetic_a"
    methods: Annotated[
        Names | None,
        typer.Option(parser=Names.of, metavar="NAME,...", help="Methods. Default: all."),
    ] = None
    seeds: Seeds = 3
    first_seed: FirstSeed = 0
    data_root: DataRoot = None

    def measure(self, known: Collection[Case]) -> Iterator[Row]:
        """Fit each method with each seed. A fit that is refused does not end the run."""
        study = _STUDIES[self.data]
        done = {(case.method, case.seed) for case in known if case.data == self.data}
        methods = Names.among(study.methods)(self.methods or Names(study.methods))
        for seed in range(self.first_seed, self.first_seed + self.seeds):
            for method in methods:
                if (method, seed) in done:
                    continue
                yield from self._rows(method, seed)

    def _rows(self, method: str, seed: int) -> Iterator[Row]:
        """Yield the figures of one fit, or a row without figures that says why it was refused."""
        case = partial(Case, data=self.data, method=method, seed=seed)
        try:
            for settings, figures in _STUDIES[self.data].measure(method, seed, self.data_root):
                yield Row(case=case(settings=settings), figures=figures, device=CPU)
        except DataError as error:
            yield Row(case=case(), figures={}, notes={"refused": str(error)}, device=CPU)

    @staticmethod
    def summary(rows: pd.DataFrame) -> str:
        """Return means and standard errors over the seeds."""
        numbers = [
            name
            for name in rows.select_dtypes("number")
            if name not in ("seed", "a", "rho", "mu", "delta", "directions")
        ]
        keys = [
            name
            for name in ("data", "method", "a", "rho", "mu", "delta", "directions", "score")
            if name in rows
        ]
        groups = rows.groupby(keys, dropna=False, sort=False)[numbers]
        means = groups.mean().round(3).to_string()
        errors = groups.sem().round(3)
        return means if errors.isna().all(axis=None) else f"{means}\n\n{errors.to_string()}"
