"""Estimates of which rows of series are contaminated, where contamination comes in bursts."""

from typing import Any

import numpy as np

from nbam_pyro.errors import DataError
from nbam_pyro.models.priors.chains import MarkovSwitch
from nbam_pyro.outputs.contamination_report import ContaminationReport
from nbam_pyro.outputs.intervals import check_probability
from nbam_pyro.outputs.series.paths import best_path
from nbam_pyro.outputs.series.posterior import chain_posterior
from nbam_pyro.outputs.series.rows import SeriesRows, column_of_densities, row_index
from nbam_pyro.outputs.series.tables import series_report

__all__ = ["from_series"]

_DRAWS = 400


def from_series(
    clean: Any,
    contaminated: Any,
    *,
    series: Any = None,
    order: Any = None,
    verified: Any = None,
    switch: MarkovSwitch | None = None,
    probability: float = 0.9,
    seed: int = 0,
) -> ContaminationReport:
    r"""Estimate contaminated rows of series, given the likelihoods of both states of each row.

    The switches z of a series are a Markov chain (`MarkovSwitch`), so contaminated rows may follow
    each other in bursts. The share pi of contaminated rows and the *dwell* d, the mean length of a
    burst, have priors. Their posterior is computed on a grid, and the responsibility of a row is

    .. math:: r_t = E[P(z_t = 1 \mid y_1, \dots, y_T, \pi, d) \mid y_1, \dots, y_T].

    The likelihoods may come from any model: `nbam_pyro.inference.smooth` takes them from a fit.
    Rows must be independent given their switches. A slow drift of clean rows looks like one long
    burst; include it in the clean likelihood.

    Args:
        clean: Log density of each target if it is clean, log p(y_t | z_t = 0), (N,). NaN where the
            target is missing, -inf where it is impossible. An array, a list, a tensor or a column.
        contaminated: Log density if it is contaminated, log p(y_t | z_t = 1), (N,).
        series: Name of the series of each row, (N,); None if all rows are one series.
        order: Place of each row in its series, (N,): numbers, or times, which are converted to
            seconds. Gaps and uneven steps are allowed. None if the rows are in order, in steps of
            1.
        verified: Codes of verified rows, (N,): 1 for contaminated, 0 for clean, and -1, NaN or
            None where nothing is verified. A `nbam_pyro.Verified` without true labels works too.
        switch: Coupling with the priors of share and dwell, whose unit is the usual (median) step;
            None for `MarkovSwitch()`.
        probability: Posterior probability that each interval contains, in (0, 1).
        seed: Seed for the draws.

    Returns:
        A `ContaminationReport` of kind "series". Its rows have the columns "series", "order",
        "clean", "contaminated", "verified", "responsibility", "filtered" (the probability of
        contamination given only the rows up to this one) and "path" (1 where the most probable path
        of all switches is contaminated). `dwell` and `dwell_interval` are in the unit of the order.
        `persistence` compares bursts with independent rows. `draw_paths` draws paths.

    Raises:
        DataError: The lengths differ, a value is not valid, a row is impossible in both states, two
            rows of a series have the same order, or `probability` is not in (0, 1).

    Source: Rabiner (1989) for hidden Markov models.

    Example:
        >>> from scipy.stats import norm
        >>> rng = np.random.default_rng(0)
        >>> z = np.tile(np.repeat([0, 1], [40, 10]), 20)  # bursts of 10 rows
        >>> y = rng.normal(1.5 * z)
        >>> report = from_series(norm.logpdf(y), norm.logpdf(y, 1.5))
        >>> report.verdict.level, round(report.contamination, 1), report.persistence > 3
        ('identified', 0.2, True)
    """
    check_probability(probability)
    e0, e1 = (
        column_of_densities(values, name)
        for values, name in ((clean, "clean"), (contaminated, "contaminated"))
    )
    if len(e0) != len(e1) or (np.isnan(e0) != np.isnan(e1)).any():
        raise DataError(
            "clean and contaminated must have one log density for each row, and be missing (NaN) "
            f"in the same rows; they have {len(e0)} and {len(e1)} rows."
        )
    switch = switch or MarkovSwitch()
    rows = SeriesRows.of(e0, e1, series=series, order=order, verified=verified)
    found = chain_posterior(rows, switch, draws=_DRAWS, seed=seed)
    path = best_path(rows, float(np.median(found.contamination)), float(np.median(found.dwell)))
    return series_report(
        rows,
        found,
        {"clean": e0, "contaminated": e1},
        path=path,
        switch=switch,
        series=series,
        order=order,
        index=row_index(clean),
        probability=probability,
        given=True,
    )
