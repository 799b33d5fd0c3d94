"""The prior of the share of wrong labels of a fit, fitted across tables, networks and flips.

Each development design has known wrong labels. The default recipe is fitted to it, and the share of
wrong labels is estimated from the predictions out of fold at many sharpnesses. The prior is the one
under which the true shares are most probable: a Student-t distribution of the logit of the share,
and the probability that no label is wrong, both depending on numbers that can be seen.
"""

import math
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, fields
from typing import Annotated, Any, final

import numpy as np
import pandas as pd
import typer
from scipy.optimize import minimize
from scipy.special import expit, log_expit, logsumexp

from benchmarks.benchmark import CPU, Benchmark, Case, Row
from benchmarks.calibration.labelled_tables import Labelled
from benchmarks.calibration.large_designs import DesignFeatures, More, larger
from benchmarks.calibration.share_designs import development, fit_of, one_class
from benchmarks.calibration.sharpness_prior import rounded
from benchmarks.options import DataRoot, given
from nbam_pyro import FlipPrior
from nbam_pyro.inference import Fit
from nbam_pyro.inference.posterior.share_prior import LOG_SCALES, Seen, SharePrior
from nbam_pyro.inference.posterior.sharpness_estimates import estimates_at, usual_at
from nbam_pyro.inference.steps.by_rows import FEW
from nbam_pyro.inference.steps.evidence import Evidence
from nbam_pyro.inference.steps.run import Run
from nbam_pyro.inference.variational.guides import Draw
from nbam_pyro.outputs.gains import LEARNED
from nbam_pyro.outputs.sharpness_prior import PLAUSIBLE, POINT_WEIGHTS, POINTS, WIDE

__all__ = ["ShareDevelopment", "figures_of", "fitted"]

# Standard deviation of the share that remains if the sharpness is right, and of a share of 0.
_ERROR, _ZERO = 0.006, 0.004
# Weight of a density three times as broad, so that one design cannot decide.
_BROAD = 0.15
# Limits of `LabelEvidence.echoed` and of the margin probability, as in the verdict on labels.
_ECHOED, _SURE = 0.25, 0.95
# The coefficients without any design, towards which they are shrunk: the two estimates have equal
# weights, and right labels are as probable as by plain predictions.
_START = SharePrior(
    centre=(0.0, 0.5, 0.5, 0.0, 0.0, 0.0),
    spread=(-0.5, 0.0, 0.0, 0.0, 0.0, 0.0),
    right=(0.0, 1.0, 0.0, 0.0, 0.0),
)
_PENALTIES = (5.0, 5.0, 0.2)
# The coefficients for few and for many rows are shrunk towards those for all, this much more.
_POOLED = 4.0
# Added to the log scale. Intervals of designs that were left out of the fit then contain the truth
# more often, and have about the same score.
_WIDER = 0.3


def figures_of(
    evidence: Evidence, plain: Evidence, latents: Draw, *, truth: float
) -> dict[str, float]:
    """Return what can be seen, the true share, and the estimated share at each sharpness.

    Args:
        evidence: Predictions of the true label out of fold, and observed labels.
        plain: Predictions of the observed labels out of fold.
        latents: Rates and rows of T, by site name.
        truth: True share of wrong labels.
    """
    prior, mean = FlipPrior(), evidence.log_probs.exp().mean(0)
    usual = usual_at(evidence, prior, latents, mean)
    estimates = estimates_at(WIDE, evidence, prior, usual, mean)
    return {
        "number": len(evidence.labels),
        "few": float(len(plain.labels) < FEW),
        "truth": truth,
        **asdict(Seen.of(evidence, usual, plain, None)),
        **{f"share_{i}": one.share for i, one in enumerate(estimates)},
    }


def fitted(rows: pd.DataFrame) -> tuple[SharePrior, SharePrior]:
    """Fit the prior to development designs with many, and with few training rows.

    Args:
        rows: Figures of designs, one in each row: those of `figures_of`, gain, echoed and margin.
            Designs are left out if the verdict is "cannot tell" for another reason than the share.
    """
    sure = (rows["gain"] >= LEARNED) & (rows["echoed"] <= _ECHOED) & (rows["margin"] >= _SURE)
    rows, few = rows[sure], rows["few"][sure] == 1
    every = _fitted(rows, _START)
    many, rare = (_fitted(part, every, pooled=_POOLED) for part in (rows[~few], rows[few]))
    return _as_in_library(many), _as_in_library(rare)


def _as_in_library(prior: SharePrior) -> SharePrior:
    return SharePrior(
        centre=rounded(np.array(prior.centre)),
        spread=rounded(np.array([prior.spread[0] + _WIDER, *prior.spread[1:]])),
        right=rounded(np.array(prior.right)),
    )


def _fitted(rows: pd.DataFrame, start: SharePrior, *, pooled: float = 1.0) -> SharePrior:
    """Fit the prior to designs.

    Args:
        rows: Figures of the designs.
        start: Coefficients towards which those of the result are shrunk.
        pooled: Factor of the penalties.
    """
    names = [field.name for field in fields(Seen)]
    seen = [Seen(**dict(zip(names, one, strict=True))) for one in rows[names].to_numpy()]
    centres, spreads, rights = (
        np.stack([getattr(one, name) for one in seen])
        for name in ("for_centre", "for_spread", "for_right")
    )
    used = np.flatnonzero(np.isin(WIDE, PLAUSIBLE))
    shares = rows[[f"share_{i}" for i in used]].to_numpy()
    low, high = shares.min(1, keepdims=True), shares.max(1, keepdims=True)
    truth, count = rows["truth"].to_numpy(), rows["number"].to_numpy()
    parts = [np.array(part) for part in (start.centre, start.spread, start.right)]
    ends = np.cumsum([len(part) for part in parts])[:-1]
    penalty = pooled * np.repeat(_PENALTIES, [len(part) for part in parts])
    middle = np.concatenate(parts)

    def loss(at: np.ndarray) -> float:
        centre, spread, right = np.split(at, ends)
        scale = np.exp((spreads @ spread).clip(*LOG_SCALES))
        found = expit((centres @ centre)[:, None] + scale[:, None] * POINTS).clip(low, high)
        error = np.sqrt(_ERROR**2 + found * (1 - found) / (2 * count[:, None]))
        wrong = logsumexp(
            np.log(POINT_WEIGHTS) + _log_density(truth[:, None] - found, error), axis=1
        )
        zero = np.where(truth == 0, -math.log(_ZERO), -50.0)
        odds = rights @ right
        total = np.logaddexp(log_expit(odds) + zero, log_expit(-odds) + wrong)
        return float(-total.sum() + penalty @ (at - middle) ** 2)

    centre, spread, right = np.split(minimize(loss, middle, method="L-BFGS-B").x, ends)
    return SharePrior(centre=tuple(centre), spread=tuple(spread), right=tuple(right))


def _log_density(away: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Return the log density of a share at some distances from the estimate."""
    near = -0.5 * (away / error) ** 2 - np.log(error)
    broad = -1.5 * np.log1p((away / (3 * error)) ** 2) - np.log(3 * error)
    return np.logaddexp(math.log1p(-_BROAD) + near, math.log(_BROAD) + broad)


@final
@dataclass(frozen=True, kw_only=True)
class ShareDevelopment(Benchmark):
    """Development designs of the prior of the share of wrong labels, and its coefficients."""

    designs: Annotated[int, typer.Option(min=0, help="Number of random tables.")] = 100
    one_class: Annotated[
        int, typer.Option(min=0, help="Number of random tables with wrong labels in one class.")
    ] = 24
    more: More = 100
    features: DesignFeatures = None
    data_root: DataRoot = None

    def measure(self, known: Collection[Case]) -> Iterator[Row]:
        """Yield what can be seen and the shares at all sharpnesses of every design."""
        root = given(self.data_root)
        kinds: tuple[tuple[Any, int, dict[str, str]], ...] = (
            (development, self.designs, {}),
            (one_class, self.one_class, {"flips": "one class"}),
        )
        for draw, count, settings in kinds:
            for seed in range(count):
                name, data = draw(seed, root)
                case = Case(data=name, method="default", seed=seed, settings=settings)
                if case not in known and data.true.max() and np.bincount(data.labels).min() > 1:
                    yield from _rows(case, data, *fit_of(data, seed=seed))
        for case, design in larger(self.more, root, self.features, method="default", known=known):
            yield from _rows(case, design.data, *design.fit(), name=design.name)

    @staticmethod
    def summary(rows: pd.DataFrame) -> str:
        """Return the coefficients, as they stand in the library."""
        return repr(fitted(rows))


def _rows(
    case: Case, data: Labelled, result: Fit, run: Run, *, name: str | None = None
) -> Iterator[Row]:
    """Yield the row of a design, or nothing if the fit has no predictions out of fold."""
    seen = result.label_evidence
    if run.cross_fitted is None or run.plain is None or run.gain is None or seen is None:
        return
    figures = figures_of(run.cross_fitted, run.plain, run.start, truth=data.wrong)
    figures |= {"gain": run.gain, "echoed": seen.echoed or 0.0}
    figures |= {"margin": min(seen.margin_probability)}
    notes = {} if name is None else {"design": name}
    yield Row(case=case, figures=figures, notes=notes, device=CPU)
