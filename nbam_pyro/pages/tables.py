"""Tables of a page: the transition matrix, classes and groups."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from nbam_pyro.outputs.wording.sentences import percent
from nbam_pyro.pages.findings import Findings
from nbam_pyro.pages.texts import shortened
from nbam_pyro.plots.sources import Matrix

__all__ = ["Entry", "by_class", "by_group", "matrix_rows"]

# Largest numbers of classes whose matrix is shown, of classes, and of groups.
_MATRIX, _CLASSES, _GROUPS = 15, 100, 50
# Ends of the shades of a matrix.
_SHADES = (0.01, 0.05, 0.2, 0.5)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Entry of the transition matrix.

    Attributes:
        text: Probability in percent.
        interval: Its interval; empty without one.
        shade: Shade of the cell, from 0 to 4.
    """

    text: str
    interval: str
    shade: int


def matrix_rows(findings: Findings) -> list[tuple[str, list[Entry]]] | None:
    """Return the name and the entries of each row of the matrix; None if it is not shown.

    Args:
        findings: What was found.
    """
    matrix = findings.matrix
    if matrix is None or matrix.names is None or len(matrix.names) > _MATRIX:
        return None
    return [
        (
            shortened(name, most=40),
            [_entry(matrix, c, o) for o in range(len(matrix.names))],
        )
        for c, name in enumerate(matrix.names)
    ]


def _entry(matrix: Matrix, c: int, o: int) -> Entry:
    mean, interval = float(matrix.mean[c, o]), ""
    if matrix.low is not None and matrix.high is not None:
        low, high = float(matrix.low[c, o]), float(matrix.high[c, o])
        if mean >= _SHADES[0] or high >= _SHADES[1]:
            interval = f"{percent(low, 0)} to {percent(high, 0)}"
    return Entry(
        text=percent(mean, 0), interval=interval, shade=int(np.searchsorted(_SHADES, mean))
    )


def by_class(findings: Findings) -> pd.DataFrame | None:
    """Return a table of classes: rows with the label, and how many are probably wrong.

    Args:
        findings: What was found.
    """
    if findings.classes is None or "label" not in findings.rows:
        return None
    return _counted(findings, findings.rows["label"], most=_CLASSES)


def by_group(findings: Findings) -> pd.DataFrame | None:
    """Return a table of groups: rows, and how many are probably contaminated.

    Args:
        findings: What was found.
    """
    if findings.group is None:
        return None
    values = pd.Series(findings.group.values).loc[findings.rows.index]
    return _counted(findings, values, most=_GROUPS)


def _counted(findings: Findings, by: pd.Series, *, most: int) -> pd.DataFrame:
    frame = pd.DataFrame(
        {"name": by.astype(str), "r": findings.responsibility, "flagged": findings.flagged}
    )
    table = frame.groupby("name").agg(
        rows=("r", "size"), expected=("r", "sum"), share=("r", "mean"), flagged=("flagged", "sum")
    )
    return table.sort_values("share", ascending=False, kind="stable").head(most).reset_index()
