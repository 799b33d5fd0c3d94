"""The report of series, made from the posterior of their switches."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from nbam_pyro.checks.containers import unwrapped
from nbam_pyro.models.priors.chains import MarkovSwitch
from nbam_pyro.outputs.contamination_report import ContaminationReport
from nbam_pyro.outputs.series.posterior import ChainPosterior, prior_draws
from nbam_pyro.outputs.series.rows import SeriesRows
from nbam_pyro.outputs.series.wording import series_note, series_verdict

__all__ = ["series_report"]

_PRIOR = 1000


def series_report(
    rows: SeriesRows,
    found: ChainPosterior,
    columns: Mapping[str, np.ndarray],
    *,
    path: np.ndarray,
    switch: MarkovSwitch,
    series: Any,
    order: Any,
    index: pd.Index,
    probability: float,
    given: bool,
    further: Mapping[str, np.ndarray] | None = None,
) -> ContaminationReport:
    """Return the report.

    Args:
        rows: Sorted rows.
        found: Posterior of share, dwell and switches.
        columns: Further columns of the table of rows, in the order of the given rows.
        path: Most probable path of the sorted rows, (N,).
        switch: Coupling, which gives the priors.
        series: Name of the series of each row, or None.
        order: Place of each row in its series, or None.
        index: Index of the table of rows.
        probability: Posterior probability that each interval contains.
        given: Whether the likelihoods were given.
        further: Draws of further parameters by name, (S,).
    """
    count = len(index)
    table = {
        "series": np.zeros(count, dtype=int) if series is None else np.asarray(unwrapped(series)),
        "order": np.arange(count) if order is None else np.asarray(unwrapped(order)),
        **columns,
        "verified": rows.in_given_order(rows.codes),
        "responsibility": rows.in_given_order(found.switches.responsibility),
        "filtered": rows.in_given_order(found.switches.filtered),
        "path": rows.in_given_order(path),
    }
    dwell = found.dwell * rows.unit
    share = found.switches.share
    drawn = {
        "contamination": share,
        "population_rate": found.contamination,
        "dwell": dwell,
        **(further or {}),
    }
    before, long = prior_draws(switch, _PRIOR)
    tails = [(1 - probability) / 2, (1 + probability) / 2]
    return ContaminationReport(
        kind="series",
        rows=pd.DataFrame(table, index=index),
        posterior=xr.Dataset({name: ("draw", one) for name, one in drawn.items()}),
        prior=xr.Dataset({"contamination": ("draw", before), "dwell": ("draw", long * rows.unit)}),
        verdict=series_verdict(
            found,
            interval=_ends(share, tails),
            dwell=_ends(dwell, tails),
            timed=order is not None,
            given=given,
            probability=probability,
        ),
        note=series_note(verified=int((rows.codes >= 0).sum())),
        probability=probability,
        persistence=found.persistence,
    )


def _ends(draws: np.ndarray, tails: list[float]) -> tuple[float, float]:
    low, high = np.quantile(draws, tails)
    return float(low), float(high)
