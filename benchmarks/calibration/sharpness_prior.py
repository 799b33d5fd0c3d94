"""The prior of the sharpness of `from_pred_probs`, fitted across tables, classifiers and flips.

Each development design has known true labels. Its best sharpness is the one at which the estimated
share of wrong labels is the true share.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, final

import numpy as np
import pandas as pd
import torch
import typer
from scipy import stats
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from benchmarks.benchmark import CPU, Benchmark, Case, Row
from benchmarks.calibration.large_designs import LARGE, DesignFeatures, More, larger
from benchmarks.calibration.predictions import Cache, Design, development, unmeasured
from benchmarks.options import DataRoot, given
from nbam_pyro import FlipPrior
from nbam_pyro.outputs import estimate_transition
from nbam_pyro.outputs.sharpness_prior import FREEDOM, SharpnessPrior
from nbam_pyro.outputs.sharpness_seen import SEEN, Seen, sharpened

__all__ = ["SharpnessDevelopment", "fitted", "rounded"]

# Powers of the search, as differences of the log power from the fit to the labels.
_TRIED = np.array([-1, -0.5, -0.25, 0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 2.5, 3])
# Number of times that a larger design counts.
_TIMES = 2
# The target lies in the inside of that range, because the share stops to change.
_TARGETS = (-0.75, 2.75)


def numbers_of(design: Design, data: Path, cache: Path) -> dict[str, float] | None:
    """Return the measured numbers of a design and its best sharpness; None if a class is missing.

    Args:
        design: Combination of table, classifier and flips.
        data: Folder of the tables that scikit-learn does not contain.
        cache: Folder of the predicted probabilities.
    """
    true, labels, p = design.predicted(data, cache)
    if p.shape[1] < 2 or p.shape[1] <= true.max():
        return None
    log_p = torch.as_tensor(p).clamp_min(1e-6).log()
    return _numbers(log_p, torch.as_tensor(labels), float((true != labels).mean()))


def _numbers(log_p: torch.Tensor, labels: torch.Tensor, rate: float) -> dict[str, float]:
    """Return the measured numbers of predictions, and their best sharpness.

    Args:
        log_p: Log predicted probabilities, (N, K).
        labels: Observed labels, (N,).
        rate: True share of wrong labels.
    """
    seen = Seen.of(log_p, labels)
    best = 0.0 if rate == 0 else _best(log_p, labels, seen.log_power, rate)
    numbers = {f"seen_{i}": float(one) for i, one in enumerate(seen.numbers)}
    return numbers | {"rate": rate, "best": best, "rows": len(labels)}


def _best(log_p: torch.Tensor, labels: torch.Tensor, log_power: float, rate: float) -> float:
    """Return the best log sharpness minus the log power.

    At the best sharpness, the estimated share of wrong labels is the true rate. The power is the
    exponent at which the probabilities, raised to it and normalised, predict the labels best.
    """
    shares, start = [], None
    for step in _TRIED:
        transition = estimate_transition(
            sharpened(log_p, float(np.exp(log_power + step))),
            labels,
            prior=FlipPrior(rate=(1.0, 9.0)),
            start=start,
            iterations=200,
        )
        start = transition.counts
        shares.append(transition.share)
    rising = np.maximum.accumulate(shares) + 1e-9 * np.arange(len(shares))
    return float(np.interp(rate, rising, _TRIED).clip(*_TARGETS))


def fitted(rows: pd.DataFrame) -> SharpnessPrior:
    """Fit the prior to development designs.

    Args:
        rows: Table with one row per design: the numbers that `numbers_of` returns. Designs with at
            least 1,000 rows in `share_designs` count more, because there are fewer of them.
    """
    many = rows["data"] == LARGE
    rows = pd.concat([rows, *[rows[many]] * (_TIMES - 1)])
    seen = rows[[f"seen_{i}" for i in range(len(SEEN))]].to_numpy()
    zeros = (0.0,) * (seen.shape[1] + 1)
    prior = SharpnessPrior(
        mean=rounded(seen.mean(0)),
        scale=rounded(seen.std(0)),
        right=zeros,
        centre=zeros,
        spread=zeros,
    )
    z = prior.standardised(seen)
    wrong = (rows["rate"] > 0).to_numpy()
    right = LogisticRegression().fit(z[:, 1:], ~wrong)
    centre, spread = _student_regression(z[wrong], rows["best"].to_numpy()[wrong])
    return SharpnessPrior(
        mean=prior.mean,
        scale=prior.scale,
        right=rounded(np.r_[right.intercept_, right.coef_[0]]),
        centre=rounded(centre),
        spread=rounded(spread),
    )


def _student_regression(z: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return coefficients of the centre and of the log scale, with a ridge penalty."""
    p = z.shape[1]

    def loss(at: np.ndarray) -> float:
        centre, log_scale = z @ at[:p], z @ at[p:]
        fit = stats.t.logpdf((target - centre) / np.exp(log_scale), FREEDOM) - log_scale
        return float(-fit.sum() + 0.5 * (at[1:p] ** 2).sum() + 5 * (at[p + 1 :] ** 2).sum())

    first = np.linalg.lstsq(z, target, rcond=None)[0]
    start = np.r_[first, np.log((target - z @ first).std()), np.zeros(p - 1)]
    best = minimize(loss, start, method="L-BFGS-B").x
    return best[:p], best[p:]


def rounded(values: np.ndarray) -> tuple[float, ...]:
    """Return coefficients as they stand in the library."""
    return tuple(round(float(value), 4) for value in values)


@final
@dataclass(frozen=True, kw_only=True)
class SharpnessDevelopment(Benchmark):
    """Development designs of the sharpness prior, and the coefficients that are fitted to them."""

    designs: Annotated[int, typer.Option(min=0, help="Number of random designs.")] = 600
    more: More = 100
    features: DesignFeatures = None
    data_root: DataRoot = None
    cache: Cache = Path("cache")

    def measure(self, known: Collection[Case]) -> Iterator[Row]:
        """Yield the measured numbers and the best sharpness of every design."""
        root = given(self.data_root)
        for case, design in unmeasured(development(self.designs), known, self.cache):
            numbers = numbers_of(design, root, self.cache)
            if numbers is not None:
                yield Row(case=case, figures=numbers, device=CPU)
        method = "first step of a fit"
        for case, one in larger(self.more, root, self.features, method=method, known=known):
            plain = one.fit()[1].plain
            if plain is not None:
                numbers = _numbers(plain.log_probs.double(), plain.labels, one.data.wrong)
                yield Row(case=case, figures=numbers, notes={"design": one.name}, device=CPU)

    @staticmethod
    def summary(rows: pd.DataFrame) -> str:
        """Return the coefficients, in the form in which the library contains them."""
        return repr(fitted(rows))
