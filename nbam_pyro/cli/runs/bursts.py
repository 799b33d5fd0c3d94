"""Scores of rows of series, where contamination comes in bursts."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from nbam_pyro.cli.files import read
from nbam_pyro.cli.runs.scorer import Scorer
from nbam_pyro.errors import DataError

__all__ = ["Bursts", "with_bursts"]


class Bursts(NamedTuple):
    """Which rows of a file are neighbours.

    Attributes:
        series: Name of the column that names the series of each row; None for one series.
        order: Name of the column of numbers or times by which the rows of a series are ordered;
            None for the order of the file.
        live: Whether a row is judged by the rows up to it alone.
    """

    series: str | None
    order: str | None
    live: bool


def with_bursts(
    data: Path, scorer: Scorer, bursts: Bursts, *, say: Callable[[str], None]
) -> tuple[pd.DataFrame, list[str]]:
    """Score all rows of a file, each by its whole series.

    Args:
        data: File of the new rows.
        scorer: What scores single rows with the fit of a run.
        bursts: Columns of series and order.
        say: Function that is called with each line of the verdict.

    Returns:
        The table of the scorer in the order of the file, with the new responsibilities, and those
        of each row alone in the column "alone"; and notes on the rows.

    Raises:
        DataError: A column is missing, or the order of a row is neither a number nor a time.
    """
    from nbam_pyro.outputs import from_responsibilities

    source = scorer.read(data)
    table, notes = scorer.table(source)
    if scorer.prior is None:
        raise DataError("Rows of series need responsibilities. Give a run of nbam fit.")
    names = [name for name in (bursts.series, bursts.order) if name is not None]
    # The run may use these columns as features, too, so they are read on their own.
    columns = read(data, label=None, beside=names, labelled=False).beside
    alone = table["responsibility"].to_numpy(dtype=float)
    known = table["verified"].to_numpy(dtype=bool) if "verified" in table else None
    report = from_responsibilities(
        alone,
        scorer.prior(source),
        series=None if bursts.series is None else np.asarray(columns[bursts.series]).astype(str),
        order=None if bursts.order is None else columns[bursts.order],
        verified=None if known is None else np.where(known, alone > 0.5, -1),
    )
    for line in report.verdict.lines():
        say(line)
    found = report.rows["filtered" if bursts.live else "responsibility"].to_numpy()
    return table.assign(responsibility=found, alone=alone), [*source.notes, *notes]
