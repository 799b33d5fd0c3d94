"""The prior of the sharpness of a fit's own predictions, fitted across tables and flips.

Each development design is a table with known wrong labels. The default recipe is fitted to it, and
the share of wrong labels is estimated from the predictions out of fold at many sharpnesses. The
prior is the one under which the true shares are most probable: a Student-t distribution of the log
sharpness, and the probability that no label is wrong, both depending on numbers that can be seen.
"""

import math
import warnings
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, final

import numpy as np
import pandas as pd
import typer
from scipy.optimize import minimize
from scipy.special import log_expit, logsumexp
from sklearn import datasets

from benchmarks.benchmark import CPU, Benchmark, Case, Row
from benchmarks.calibration.labelled_tables import DEVELOPMENT_TABLES, Labelled, Table, labelled
from benchmarks.calibration.sharpness_prior import rounded
from benchmarks.options import DataRoot, given
from nbam_pyro import FlipPrior, NBAMClassifier, fit
from nbam_pyro.errors import NBAMWarning
from nbam_pyro.inference import Fit, default_steps
from nbam_pyro.inference.posterior.sharpness_estimates import (
    SEEN,
    estimates_at,
    numbers,
    usual_at,
)
from nbam_pyro.inference.steps.attempts import LEARNED
from nbam_pyro.inference.steps.evidence import Evidence
from nbam_pyro.inference.steps.run import Run
from nbam_pyro.inference.variational.guides import Draw
from nbam_pyro.outputs.sharpness_prior import POINT_WEIGHTS, POINTS, SharpnessPrior

__all__ = ["NAMES", "NetworkSharpness", "development", "figures_of", "fit_of", "fitted"]

GRID = np.linspace(-2.5, 2.5, 21)
"""Log sharpnesses at which the share is estimated."""

_KINDS = ("uniform", "pair", "class", "uniform")
# Standard deviation of the share that remains if the sharpness is right, and of a share of 0.
_ERROR, _ZERO = 0.006, 0.004
# Weight of a density three times as broad, so that one design cannot decide.
_BROAD = 0.15
# Limits of `LabelEvidence.echoed` and of the margin probability, as in the verdict on labels.
_ECHOED, _SURE = 0.25, 0.95
# Added to the log scale of log a. Intervals of tables that were left out of the fit then have the
# smallest interval score, and contain the truth more often.
_WIDER = 0.4
# Ridge penalties of the coefficients of centre, spread and right.
_PENALTY = (5.0, 2.0, 0.1)


def _normal(
    rows: tuple[int, int], apart: tuple[float, float], columns: tuple[int, ...], least: float = 0.5
) -> Callable[[np.random.Generator], Table]:
    """Return two or three classes whose means are some standard deviations from each other."""

    def draw(rng: np.random.Generator) -> Table:
        n = int(np.exp(rng.uniform(*np.log(rows))))
        k = int(rng.integers(2, 4))
        share = rng.uniform(least, 0.5)
        y = (rng.random(n) > share).astype(int)
        if k == 3:
            y[rng.random(n) < 0.3] = 2
        d = int(columns[rng.integers(len(columns))])
        x = rng.standard_t(6, size=(n, d))
        a = rng.uniform(*apart)
        x[:, 0] += a * (y == 1)
        x[:, min(1, d - 1)] += a * (y == 2)
        return x, y

    return draw


def _moons(rng: np.random.Generator) -> Table:
    n, seed = int(rng.integers(150, 1200)), int(rng.integers(2**31))
    if rng.random() < 0.5:
        noise, factor = rng.uniform(0.03, 0.2), rng.uniform(0.3, 0.7)
        return datasets.make_circles(n, noise=noise, factor=factor, random_state=seed)
    return datasets.make_moons(n, noise=rng.uniform(0.05, 0.4), random_state=seed)


def _rings(rng: np.random.Generator) -> Table:
    return datasets.make_gaussian_quantiles(
        n_samples=int(rng.integers(200, 1200)),
        n_features=int(rng.integers(2, 8)),
        n_classes=int(rng.integers(2, 5)),
        random_state=int(rng.integers(2**31)),
    )


def _blobs(rng: np.random.Generator) -> Table:
    return datasets.make_blobs(
        int(rng.integers(100, 900)),
        n_features=int(rng.integers(2, 10)),
        centers=int(rng.integers(2, 12)),
        cluster_std=rng.uniform(0.5, 5),
        random_state=int(rng.integers(2**31)),
    )


_SIMULATED: dict[str, Callable[[np.random.Generator], Table]] = {
    "two": _normal((40, 800), (0.8, 4), (1, 3, 6)),
    "rare": _normal((300, 1200), (2, 4), (2, 5), 0.04),
    "wide": _normal((40, 150), (3, 8), (300, 1000)),
    "noise": _normal((60, 600), (0, 0.3), (2, 10)),
    "moons": _moons,
    "rings": _rings,
    "blobs": _blobs,
}
NAMES = (*DEVELOPMENT_TABLES, *_SIMULATED, *_SIMULATED)
"""Names of the development tables, from which each design draws one."""


def development(seed: int, data: Path) -> tuple[str, Labelled]:
    """Return the name of a development table, and its rows with wrong labels.

    Args:
        seed: Seed of the choice of table, rate, flips and rows.
        data: Folder of the tables that scikit-learn does not contain.
    """
    rng = np.random.default_rng([77, seed])
    name = NAMES[int(rng.integers(len(NAMES)))]
    rate = 0.0 if rng.random() < 0.22 else rng.uniform(0.02, 0.4)
    flips = _KINDS[int(rng.integers(4))] if rng.random() < 0.9 else "some"
    if name in _SIMULATED:
        table = _SIMULATED[name](rng)
        rows = len(table[1])
    else:
        table = DEVELOPMENT_TABLES[name](data, int(rng.integers(1000)))
        rows = int(np.exp(rng.uniform(math.log(80), math.log(1500))))
    return name, labelled(table, flips, rate=rate, rows=rows, seed=seed)


def fit_of(x: np.ndarray, labels: np.ndarray, seed: int) -> tuple[Fit, Run]:
    """Return a fit of the default recipe, and its state after the last step.

    Args:
        x: Features, (N, D).
        labels: Observed labels, (N,).
        seed: Seed of the fit.
    """
    kept: list[Run] = []
    model = NBAMClassifier(random_state=seed)
    story, rows, codes = model.prepared(x, labels)
    state = int(np.random.RandomState(seed).randint(np.iinfo(np.int32).max))
    steps = [*default_steps(story), kept.append]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NBAMWarning)
        result = fit(story, (rows, codes), steps=steps, held_out=1 / 6, seed=state)
    return result, kept[0]


def figures_of(evidence: Evidence, latents: Draw, *, gain: float, truth: float) -> dict[str, float]:
    """Return what can be seen, the true share, and the estimated share at each sharpness.

    Args:
        evidence: Predictions out of fold, and observed labels.
        latents: Rates and rows of T, by site name.
        gain: How much more probable labels are given x than under their frequencies alone, in
            standard errors.
        truth: True share of wrong labels.
    """
    prior, mean = FlipPrior(), evidence.log_probs.exp().mean(0)
    usual = usual_at(evidence, prior, latents, mean)
    estimates = estimates_at(np.exp(GRID), evidence, prior, usual, mean)
    seen = numbers(evidence, usual)
    return {
        "rows": len(evidence.labels),
        "truth": truth,
        "gain": gain,
        **{f"seen_{i}": float(one) for i, one in enumerate(seen)},
        **{f"share_{i}": one.share for i, one in enumerate(estimates)},
    }


def fitted(rows: pd.DataFrame) -> SharpnessPrior:
    """Fit the prior to development designs.

    Args:
        rows: Figures of designs, one in each row, as `figures_of` returns them. Designs are left
            out if the verdict is "cannot tell" for another reason than the sharpness.
    """
    sure = (rows["gain"] >= LEARNED) & (rows["echoed"] <= _ECHOED) & (rows["margin"] >= _SURE)
    rows = rows[sure]
    seen = rows[[f"seen_{i}" for i in range(len(SEEN))]].to_numpy()
    shares = rows[[f"share_{i}" for i in range(len(GRID))]].to_numpy()
    truth, count = rows["truth"].to_numpy(), rows["rows"].to_numpy()
    size = seen.shape[1] + 1
    start = np.zeros(3 * size)
    start[size], start[2 * size] = -0.5, -1.0
    scaled = SharpnessPrior(
        mean=rounded(seen.mean(0)),
        scale=rounded(seen.std(0)),
        right=(0.0,) * size,
        centre=(0.0,) * size,
        spread=(0.0,) * size,
    )
    z = scaled.standardised(seen)

    def loss(at: np.ndarray) -> float:
        centre, spread, right = (z @ part for part in at.reshape(3, size).copy())
        values = centre[:, None] + np.exp(spread.clip(-3, 1))[:, None] * POINTS
        found = np.stack(
            [np.interp(v, GRID, share) for v, share in zip(values, shares, strict=True)]
        )
        error = np.sqrt(_ERROR**2 + found * (1 - found) / (2 * count[:, None]))
        wrong = logsumexp(
            np.log(POINT_WEIGHTS) + _log_density(truth[:, None] - found, error), axis=1
        )
        zero = np.where(truth == 0, -math.log(_ZERO), -50.0)
        total = np.logaddexp(log_expit(right) + zero, log_expit(-right) + wrong)
        penalty = sum(
            p * (part[1:] ** 2).sum() for p, part in zip(_PENALTY, at.reshape(3, size), strict=True)
        )
        return float(-total.sum() + penalty + 0.1 * at[0] ** 2)

    centre, spread, right = minimize(loss, start, method="L-BFGS-B").x.reshape(3, size)
    return SharpnessPrior(
        mean=scaled.mean,
        scale=scaled.scale,
        right=rounded(right),
        centre=rounded(centre),
        spread=rounded(np.r_[spread[0] + _WIDER, spread[1:]]),
    )


def _log_density(away: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Return the log density of a share at some distances from the estimate."""
    near = -0.5 * (away / error) ** 2 - np.log(error)
    broad = -1.5 * np.log1p((away / (3 * error)) ** 2) - np.log(3 * error)
    return np.logaddexp(math.log1p(-_BROAD) + near, math.log(_BROAD) + broad)


@final
@dataclass(frozen=True, kw_only=True)
class NetworkSharpness(Benchmark):
    """Development designs of the prior of a fit's own sharpness, and its coefficients."""

    designs: Annotated[int, typer.Option(min=1, help="Number of random designs.")] = 200
    data_root: DataRoot = None

    def measure(self, known: Collection[Case]) -> Iterator[Row]:
        """Yield what can be seen and the shares at all sharpnesses of every design."""
        root = given(self.data_root)
        for seed in range(self.designs):
            name, data = development(seed, root)
            case = Case(data=name, method="default", seed=seed)
            if case in known or data.true.max() == 0 or np.bincount(data.labels).min() < 2:
                continue
            result, run = fit_of(data.x, data.labels, seed)
            seen = result.label_evidence
            if run.cross_fitted is None or run.gain is None or seen is None:
                continue
            figures = figures_of(
                run.cross_fitted,
                run.start,
                gain=run.gain,
                truth=float((data.labels != data.true).mean()),
            )
            figures |= {"echoed": seen.echoed or 0.0, "margin": min(seen.margin_probability)}
            yield Row(case=case, figures=figures, device=CPU)

    @staticmethod
    def summary(rows: pd.DataFrame) -> str:
        """Return the coefficients, as they stand in the library."""
        return repr(fitted(rows))
