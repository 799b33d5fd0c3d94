"""Cells of suspicious rows that matter: those that speak against the label or the rest."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from nbam_pyro.pages.findings import Findings

__all__ = ["LEGENDS", "marked"]

# Largest number of marked cells of a row.
_MOST = 3
# A cell is unusual if it lies this many robust standard deviations from the median.
_UNUSUAL_LABEL, _UNUSUAL_ROW = 2.0, 3.5
# How many fewer standard deviations it lies from the median of the suggested label.
_NEARER = 1.0
# A text is rare if less than this part of the rows has it.
_RARE_LABEL, _RARE_ROW = 0.05, 0.01
# Fewer rows than this show nothing about what is usual.
_LEAST = 5

LEGENDS = {
    "labels": "Marked cells are unusual among rows with the observed label, and closer to rows "
    "with the suggested label. Each column is compared alone. A row without a mark is suspicious "
    "because of several cells together.",
    "measurements": "Marked cells are the measurement and its prediction, which contradict each "
    "other.",
    "scores": "Marked cells are far from those of most rows, or rare. Each column is compared "
    "alone. A row without a mark is unusual because of several cells together.",
    "series": "Marked cells are far from those of most rows, or rare. Each column is compared "
    "alone. A row without a mark is suspicious because of the rows before and after it.",
}
"""What marks mean, for each kind of targets."""

Distance = Callable[[pd.Series], np.ndarray]


def marked(findings: Findings, table: pd.DataFrame, shown: pd.Index) -> np.ndarray:
    """Return which cells of some rows matter, (M, D) booleans; at most three of a row.

    Args:
        findings: What was found.
        table: Cells of all rows of the data, with their positions as index.
        shown: Positions of the M rows.
    """
    strength = np.zeros((len(shown), table.shape[1]))
    if findings.kind in ("scores", "series"):
        normal = findings.rows.index[~findings.flagged]
        for number in range(table.shape[1]):
            cells = table.iloc[:, number]
            distance = _distance(cells.loc[normal], rare=_RARE_ROW, unusual=_UNUSUAL_ROW)
            strength[:, number] = _above(distance(cells.loc[shown]), _UNUSUAL_ROW)
    elif findings.kind == "labels":
        strength = _against_labels(findings, table, shown)
    order = np.argsort(-strength, axis=1, kind="stable")
    first = np.zeros_like(strength, dtype=bool)
    np.put_along_axis(first, order[:, :_MOST], True, axis=1)
    return first & (strength > 0)


def _against_labels(findings: Findings, table: pd.DataFrame, shown: pd.Index) -> np.ndarray:
    """Return how much each cell speaks against the label and for the suggested one, (M, D)."""
    strength = np.zeros((len(shown), table.shape[1]))
    rows = findings.rows
    if "suggested_label" not in rows:
        return strength
    right = rows[~findings.flagged]
    members: dict[object, pd.Index] = {
        label: part.index for label, part in right.groupby("label") if len(part) >= _LEAST
    }
    pairs = rows.loc[shown].groupby(["label", "suggested_label"], sort=False)
    for (label, other), part in pairs:
        if label == other or label not in members or other not in members:
            continue
        at = shown.get_indexer(part.index)
        for number in range(table.shape[1]):
            cells = table.iloc[:, number]
            own, its = (
                _distance(cells.loc[members[one]], rare=_RARE_LABEL, unusual=_UNUSUAL_LABEL)(
                    cells.loc[part.index]
                )
                for one in (label, other)
            )
            strength[at, number] = np.where(own - its >= _NEARER, _above(own, _UNUSUAL_LABEL), 0)
    return strength


def _above(values: np.ndarray, least: float) -> np.ndarray:
    return np.where(values >= least, values, 0.0)


def _distance(usual: pd.Series, *, rare: float, unusual: float) -> Distance:
    """Return a function from cells to their distance from the cells of some rows, (M,).

    Numbers have a robust number of standard deviations. Texts have `unusual` if they are rare, and
    0 otherwise. Missing cells have 0.
    """
    if pd.api.types.is_numeric_dtype(usual) and not pd.api.types.is_bool_dtype(usual):
        low, middle, high = _quartiles(_numbers(usual))
        spread = (high - low) / 1.349
        if not spread > 0:
            return lambda cells: np.zeros(len(cells))
        return lambda cells: np.nan_to_num(np.abs(_numbers(cells) - middle) / spread)
    share = usual.astype(str).value_counts(normalize=True)

    def distance(cells: pd.Series) -> np.ndarray:
        rarity = cells.astype(str).map(share).fillna(0.0).to_numpy()
        return np.where((rarity < rare) & cells.notna().to_numpy(), unusual, 0.0)

    return distance


def _numbers(cells: pd.Series) -> np.ndarray:
    return cells.to_numpy(dtype=float, na_value=np.nan)


def _quartiles(values: np.ndarray) -> np.ndarray:
    """Return the quartiles of the finite values; NaN if there is none."""
    finite = values[np.isfinite(values)]
    return np.quantile(finite, [0.25, 0.5, 0.75]) if len(finite) else np.full(3, np.nan)
