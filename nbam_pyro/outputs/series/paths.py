"""Paths of the switches of series: the most probable one, and draws from their posterior."""

from itertools import pairwise

import numpy as np
import torch

from nbam_pyro import functional as nf
from nbam_pyro.errors import DataError, StoryError
from nbam_pyro.outputs.contamination_report import ContaminationReport
from nbam_pyro.outputs.series.rows import SeriesRows

__all__ = ["best_path", "draw_paths"]

# Number of switches that are drawn at once, which bounds the memory.
_AT_ONCE = 200_000


def draw_paths(report: ContaminationReport, draws: int = 100, *, seed: int = 0) -> np.ndarray:
    """Draw which rows are contaminated together, from the posterior of a report of series.

    Each draw has its own share and dwell, and a path of all switches given them. Use draws for
    quantities that depend on several rows, such as the number of bursts or the longest one.

    Args:
        report: Report of `from_series`.
        draws: Number of draws, S, positive.
        seed: Seed for the draws.

    Returns:
        Booleans (S, N): whether each row is contaminated, in the order of the rows of the report.

    Raises:
        StoryError: The report is not about series.
        DataError: The number of draws is not positive.

    Example:
        >>> from nbam_pyro.outputs import from_series
        >>> report = from_series(np.zeros(9), np.repeat([-9.0, 9.0, -9.0], 3))
        >>> draw_paths(report, 50).mean(0).round(1)
        array([0., 0., 0., 1., 1., 1., 0., 0., 0.])
    """
    if report.kind != "series":
        raise StoryError(
            f"draw_paths is for series, but this report is about {report.kind}. Use from_series."
        )
    if draws < 1:
        raise DataError(f"draws is {draws}; give a positive number.")
    table = report.rows
    rows = SeriesRows.of(
        table["clean"].to_numpy(),
        table["contaminated"].to_numpy(),
        series=table["series"],
        order=table["order"],
        verified=table["verified"],
    )
    rng = np.random.default_rng(seed)
    chosen = rng.integers(len(report.posterior["draw"]), size=draws)
    pi = torch.from_numpy(report.posterior["population_rate"].values[chosen])
    dwell = torch.from_numpy(report.posterior["dwell"].values[chosen] / rows.unit)
    found = np.empty((draws, len(table)), dtype=bool)
    for part, e, steps in _each_series(rows):
        size = max(1, _AT_ONCE // len(e))
        for some in (slice(at, at + size) for at in range(0, draws, size)):
            uniform = torch.from_numpy(rng.random((len(pi[some]), len(e))))
            start, moves = (
                nf.chain_start(pi[some]),
                nf.chain_transitions(pi[some], dwell[some], steps),
            )
            found[some, part] = nf.chain_draws(start, moves, e, uniform=uniform).numpy()
    return rows.in_given_order(found)


def best_path(rows: SeriesRows, contamination: float, dwell: float) -> np.ndarray:
    """Return the most probable path of the switches of all series, (N,) of 0 and 1.

    Args:
        rows: Sorted rows.
        contamination: Share of contaminated rows.
        dwell: Dwell in usual steps.
    """
    # Separate averages of share and dwell may be an impossible pair.
    dwell = max(dwell, (contamination if rows.whole else 1.0) / (1 - contamination))
    pi = torch.tensor(contamination, dtype=torch.double)
    long = torch.tensor(dwell, dtype=torch.double)
    found = np.empty(len(rows.first), dtype=int)
    for part, e, steps in _each_series(rows):
        moves = nf.chain_transitions(pi, long, steps)
        found[part] = nf.chain_path(nf.chain_start(pi), moves, e).numpy()
    return found


def _each_series(rows: SeriesRows) -> list[tuple[slice, torch.Tensor, torch.Tensor | None]]:
    """Return the place, the emissions (T, 2) and the steps (T - 1,) of each series.

    Steps are None in a series of a single row.
    """
    starts = [*np.flatnonzero(rows.first).tolist(), len(rows.first)]
    found = []
    for low, high in pairwise(starts):
        steps = torch.from_numpy(rows.steps[low + 1 : high]) if high - low > 1 else None
        found.append((slice(low, high), torch.from_numpy(rows.emissions[low:high]), steps))
    return found
