"""Estimates of which measurements of series are contaminated, where only the values are known."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from scipy.special import logsumexp

from nbam_pyro.errors import DataError
from nbam_pyro.models.priors.chains import MarkovSwitch
from nbam_pyro.outputs.contamination_report import ContaminationReport
from nbam_pyro.outputs.intervals import check_probability
from nbam_pyro.outputs.series.neighbours import likeness
from nbam_pyro.outputs.series.normals import (
    NormalDraws,
    joined_draws,
    normal_densities,
    normal_draws,
)
from nbam_pyro.outputs.series.passes import smoothed
from nbam_pyro.outputs.series.paths import best_path
from nbam_pyro.outputs.series.posterior import ChainPosterior
from nbam_pyro.outputs.series.rows import SeriesRows, column_of_densities, row_index
from nbam_pyro.outputs.series.tables import series_report

__all__ = ["from_signal"]

# Numbers of draws: at most, at least, and so many that draws times rows stay below a bound.
_MOST, _LEAST, _CELLS = 400, 100, 10_000_000
# A normal quartile: the median absolute deviation divided by it is the standard deviation.
_QUARTILE = 0.6745


def from_signal(
    y: Any,
    *,
    series: Any = None,
    order: Any = None,
    verified: Any = None,
    switch: MarkovSwitch | None = None,
    probability: float = 0.9,
    seed: int = 0,
) -> ContaminationReport:
    r"""Estimate contaminated measurements of series, which come in bursts, from the values alone.

    .. math::
        z \sim \mathrm{Markov}(\pi, d), \qquad
        y_t \mid z_t = 0 \sim N(\mu, s), \qquad y_t \mid z_t = 1 \sim N(\mu + \delta, k s)

    Four models are averaged, weighted by their evidence: the scales of both likelihoods are equal
    (k = 1) or not, and rows come in bursts or are independent (d = 1 / (1 - pi)). All their
    parameters have priors and are estimated: the mode of their posterior is found by
    gradients of the exact log density of the series, draws from a Student-t distribution around it
    are weighted by that density. Clean measurements of all series have the same mean and standard
    deviation. Subtract predictions first where they do not. A row is contaminated if it belongs to
    the rarer of the two groups, unless verified rows say otherwise.

    Args:
        y: Measurements, (N,), in any unit; NaN where missing. An array, a list, a tensor or a
            column.
        series: Name of the series of each row, (N,); None if all rows are one series.
        order: Place of each row in its series, (N,): numbers, or times, which are converted to
            seconds. None if the rows are in order, in steps of 1.
        verified: Codes of verified rows, (N,): 1 for contaminated, 0 for clean, and -1, NaN or
            None where nothing is verified.
        switch: Coupling with the priors of share and dwell, whose unit is the usual (median) step;
            None for `MarkovSwitch()`.
        probability: Posterior probability that each interval contains, in (0, 1).
        seed: Seed for the draws.

    Returns:
        A `ContaminationReport` of kind "series", as `from_series` returns it. "clean" and
        "contaminated" are the log posterior means of both densities of each row. `posterior` also
        has draws of "clean_mean", "clean_scale", "shift" and "contaminated_scale", in the unit of
        y.

    Raises:
        DataError: The measurements are not a column of at least 10 different finite numbers, or
            another argument is not valid (see `from_series`).

    Source: Rabiner (1989) for hidden Markov models.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> z = np.tile(np.repeat([0, 1], [40, 10]), 20)  # bursts of 10 rows
        >>> report = from_signal(20 + rng.normal(3 * z))
        >>> round(report.contamination, 1), round(report.posterior["shift"].mean().item())
        (0.2, 3)
    """
    check_probability(probability)
    values = column_of_densities(y, "y")
    _check_values(values)
    switch = switch or MarkovSwitch()
    missing = np.where(np.isnan(values), np.nan, 0.0)
    rows = SeriesRows.of(missing, missing, series=series, order=order, verified=verified)
    middle = float(np.nanmedian(values))
    spread = float(np.nanmedian(abs(values - middle))) / _QUARTILE or float(np.nanstd(values))
    scaled = ((values - middle) / spread)[rows.place]
    draws = int(np.clip(_CELLS // len(values), _LEAST, _MOST))
    rng = np.random.default_rng(seed)
    chained, alone = (
        [
            normal_draws(
                scaled,
                rows,
                switch,
                draws=draws,
                independent=independent,
                equal=equal,
                rng=rng,
            )
            for equal in (True, False)
        ]
        for independent in (False, True)
    )
    found = joined_draws([*chained, *alone], rng=rng)
    e = normal_densities(scaled, found)
    log_mean = [logsumexp(one, axis=1) - np.log(draws) - np.log(spread) for one in e]
    own = rows.with_densities(*e)
    switches = smoothed(own, found.contamination, found.dwell, rng=rng)
    posterior = ChainPosterior(
        contamination=found.contamination,
        dwell=found.dwell,
        switches=switches,
        persistence=_evidence(chained) - _evidence(alone),
        presence=found.log_evidence - _without(scaled),
        likeness=likeness(rows, switches.paths, values=scaled),
    )
    pi, dwell = float(np.median(found.contamination)), float(np.median(found.dwell))
    return series_report(
        rows,
        posterior,
        {
            "measurement": values,
            **{
                name: rows.in_given_order(one)
                for name, one in zip(("clean", "contaminated"), log_mean, strict=True)
            },
        },
        path=best_path(rows.with_densities(*log_mean), pi, dwell),
        switch=switch,
        series=series,
        order=order,
        index=row_index(y),
        probability=probability,
        given=False,
        further=_in_units(found, middle, spread),
    )


def _evidence(models: Sequence[NormalDraws]) -> float:
    return float(logsumexp([one.log_evidence for one in models]))


def _in_units(found: NormalDraws, middle: float, spread: float) -> dict[str, np.ndarray]:
    """Return the draws of the likelihoods' parameters in the unit of the measurements."""
    names = [one.name for one in fields(found)][2:6]
    scaled = {name: spread * getattr(found, name) for name in names}
    return scaled | {"clean_mean": middle + scaled["clean_mean"]}


def _without(scaled: np.ndarray) -> float:
    """Return the log density of measurements without contamination, at the best Normal.

    It is larger than the evidence of that model, so it never favours contamination.
    """
    seen = scaled[~np.isnan(scaled)]
    return float(-0.5 * len(seen) * (np.log(2 * np.pi * seen.var()) + 1))


def _check_values(values: np.ndarray) -> None:
    seen = values[~np.isnan(values)]
    if not np.isfinite(seen).all():
        raise DataError(
            f"y is infinite in row {int(np.isinf(values).argmax())}. Write NaN where it is missing."
        )
    if len(np.unique(seen)) < _FEWEST:
        raise DataError(
            f"y has {len(np.unique(seen))} different values; at least {_FEWEST} are needed."
        )


_FEWEST = 10
