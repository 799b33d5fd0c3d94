"""Columns of cleanlab's Datalab, and data issues of Spotlight."""

import base64
from typing import Any

import numpy as np
import pandas as pd

from nbam_pyro.exchange.run_rows import RunRows, as_text, shown

__all__ = ["cleanlab_issues", "spotlight_issues", "spotlight_table"]

_ISSUE = 0.5
# Issues of Spotlight by their responsibility.
_SURE = 0.9


def cleanlab_issues(rows: RunRows) -> pd.DataFrame:
    """Return the columns of cleanlab's Datalab, in the order of the data.

    For labels and measurements they are is_label_issue (the responsibility exceeds one half),
    label_score (one minus the responsibility: small means suspicious), given_label and
    predicted_label. For anomalies they are is_outlier_issue and outlier_score. A row without a
    label is no issue. The first column is the name of the row.

    Args:
        rows: Rows of a run.

    Source: `Datalab.get_issues` of cleanlab 2.9.

    Example:
        >>> table = pd.DataFrame({"row": [4, 2], "score": [2.5, 1], "responsibility": [0.9, 0.2]})
        >>> cleanlab_issues(RunRows(task="detection", table=table))
          row  is_outlier_issue  outlier_score
        0   2             False            0.8
        1   4              True            0.1
    """
    table = rows.in_order
    r = table["responsibility"].to_numpy(float)
    kind = "outlier" if rows.task == "detection" else "label"
    found = pd.DataFrame({"row": table["row"].map(str)})
    found[f"is_{kind}_issue"] = (r > _ISSUE) & _labelled(table)
    found[f"{kind}_score"] = 1 - r
    if kind == "label":
        found["given_label"] = table["label"]
        predicted = "suggested_label" if "suggested_label" in table else "prediction"
        found["predicted_label"] = table[predicted]
    return found


def spotlight_issues(rows: RunRows) -> list[dict[str, Any]]:
    """Return data issues, whose entries are the arguments of Spotlight's `DataIssue`.

    One issue has the rows whose responsibility is at least .9, with the severity "high"; another
    one has those above one half, with the severity "medium". Rows are numbered in the order of the
    data. Issues without rows are left out.

    Args:
        rows: Rows of a run.

    Source: `renumics.spotlight.analysis.DataIssue` of Spotlight 1.8.

    Example:
        >>> table = pd.DataFrame({"row": [4, 2], "score": [2.5, 1], "responsibility": [0.9, 0.2]})
        >>> issue = spotlight_issues(RunRows(task="detection", table=table))[0]
        >>> issue["rows"], issue["severity"]
        ([1], 'high')
    """
    table = rows.in_order
    r = table["responsibility"].to_numpy(float)
    suspect = (r > _ISSUE) & _labelled(table)
    what = {"classification": "labels", "regression": "measurements"}.get(rows.task)
    target = "anomalies" if what is None else f"wrong {what}"
    columns = [name for name in ("label", "suggested_label", "prediction") if name in table]
    parts = [
        (f"Almost certain {target}", "high", suspect & (r >= _SURE)),
        (f"Probable {target}", "medium", suspect & (r < _SURE)),
    ]
    return [
        {
            "title": title,
            "rows": np.flatnonzero(chosen).tolist(),
            "severity": severity,
            "columns": [*columns, "responsibility"],
            "description": f"{r[chosen].sum():.1f} of these {chosen.sum()} rows are expected to be "
            f"{target}.",
        }
        for title, severity, chosen in parts
        if chosen.any()
    ]


def spotlight_table(rows: RunRows) -> pd.DataFrame:
    """Return the table that Spotlight shows, in the order of the data.

    Columns: row, image for pictures, label, suggested_label, suggested_probability, prediction or
    score, responsibility, flagged (a responsibility above one half, or what the run says), and the
    columns of the data as `RunRows.with_cells` adds them. Texts are categories without control
    characters: Spotlight opens other texts as files or addresses, and reads them as code.

    Args:
        rows: Rows of a run.

    Source: `renumics.spotlight.show` of Spotlight 1.8.

    Example:
        >>> table = pd.DataFrame({"row": [4, 2], "score": [2.5, 1], "responsibility": [0.9, 0.2]})
        >>> spotlight_table(RunRows(task="detection", table=table))
           row  score  responsibility  flagged
        0    2    1.0             0.2    False
        1    4    2.5             0.9     True
    """
    given = rows.in_order
    table = given[["row"]].copy()
    if rows.media:
        table["image"] = table["row"].map(str).map(rows.media)
    names = ("label", "suggested_label", "suggested_probability", "prediction", "score")
    for name in (*names, "responsibility"):
        if name in given:
            table[name] = given[name]
    suspect = (given["responsibility"].to_numpy(float) > _ISSUE) & _labelled(given)
    table["flagged"] = given["flagged"].astype(bool) if "flagged" in given else suspect
    columns = {
        shown(str(name)): column.map(_picture)
        if rows.media and name == "image"
        else _numbers_or_categories(column)
        for name, column in rows.with_cells(table).items()
    }
    return pd.DataFrame(columns)


def _numbers_or_categories(column: pd.Series) -> pd.Series:
    if pd.api.types.is_numeric_dtype(column):
        return column
    texts = column.map(lambda cell: shown(as_text(cell))).astype(object)
    if column.name == "row" and texts.str.fullmatch(r"\d+").all():
        return texts.astype(int)
    return texts.where(texts != "", None).astype("category")


def _picture(address: object) -> object:
    """Return the bytes of a picture whose address contains it; other addresses are returned."""
    if isinstance(address, str) and address.startswith("data:"):
        return base64.b64decode(address.partition(",")[2])
    return address


def _labelled(table: pd.DataFrame) -> np.ndarray:
    if "label" not in table:
        return np.ones(len(table), dtype=bool)
    return np.array([as_text(cell) != "" for cell in table["label"]])
