"""Bursts in series whose rows were judged one by one, by any model."""

from typing import Any

import numpy as np

from nbam_pyro.errors import DataError
from nbam_pyro.models.priors.chains import MarkovSwitch
from nbam_pyro.outputs.contamination_report import ContaminationReport
from nbam_pyro.outputs.series.from_series import from_series
from nbam_pyro.outputs.series.rows import column_of_densities, row_index

__all__ = ["from_responsibilities"]

# Responsibilities in single precision end here; one row cannot be more certain.
_CERTAIN = 1e-7


def from_responsibilities(
    responsibility: Any,
    prior: Any,
    *,
    series: Any = None,
    order: Any = None,
    verified: Any = None,
    switch: MarkovSwitch | None = None,
    probability: float = 0.9,
    seed: int = 0,
) -> ContaminationReport:
    r"""Replace responsibilities of single rows by those of rows of series, which come in bursts.

    A responsibility r_t and the prior probability pi_t that it started from give both likelihoods
    of a row, up to a factor that they share:

    .. math:: p(y_t \mid z_t = 1) \propto \frac{r_t}{\pi_t}, \qquad
        p(y_t \mid z_t = 0) \propto \frac{1 - r_t}{1 - \pi_t}.

    `from_series` takes them. It works for labels, measurements and scores of detectors.

    Args:
        responsibility: P(z_t = 1 | y_t) of each row alone, (N,); NaN where the target is missing.
            Rows that were verified must be given with `verified`.
        prior: Prior probability of contamination that the responsibilities started from: a number,
            such as `ContaminationReport.population_rate`, or one for each row, (N,).
        series: Name of the series of each row, (N,); None if all rows are one series.
        order: Place of each row in its series, (N,): numbers, or times, which are converted to
            seconds. None if the rows are in order, in steps of 1.
        verified: Codes of verified rows, (N,): 1 for contaminated, 0 for clean, and -1, NaN or
            None where nothing is verified.
        switch: Coupling with the priors of share and dwell; None for `MarkovSwitch()`.
        probability: Posterior probability that each interval contains, in (0, 1).
        seed: Seed for the draws.

    Returns:
        A `ContaminationReport` of kind "series", as `from_series` returns it.

    Raises:
        DataError: A responsibility is not in [0, 1], a prior is not in (0, 1), or another argument
            is not valid (see `from_series`).

    Example:
        >>> from nbam_pyro.outputs import from_scores
        >>> rng = np.random.default_rng(0)
        >>> burst = np.arange(600) // 30 % 8 == 7
        >>> report = from_scores(rng.normal(4.0 * burst))
        >>> smooth = from_responsibilities(report.rows["responsibility"], report.population_rate)
        >>> brier = [float(((one.rows["responsibility"] - burst) ** 2).mean())
        ...          for one in (smooth, report)]
        >>> brier[0] < brier[1] / 3
        True
    """
    r = column_of_densities(responsibility, "responsibility")
    rates = np.broadcast_to(np.asarray(prior, dtype=float), r.shape)
    if ((r < 0) | (r > 1)).any():
        raise DataError(
            f"responsibility is {r[((r < 0) | (r > 1)).argmax()]} in row "
            f"{int(((r < 0) | (r > 1)).argmax())}; give probabilities."
        )
    if not ((rates > 0) & (rates < 1)).all():
        raise DataError("prior must be strictly between 0 and 1. Give the rate before the targets.")
    bounded = r.clip(_CERTAIN, 1 - _CERTAIN)
    index = row_index(responsibility)
    report = from_series(
        np.log1p(-bounded) - np.log1p(-rates),
        np.log(bounded) - np.log(rates),
        series=series,
        order=order,
        verified=verified,
        switch=switch,
        probability=probability,
        seed=seed,
    )
    report.rows.index = index
    return report
