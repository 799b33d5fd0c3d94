"""The list of suspicious rows: what each cell of it says."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from nbam_pyro.outputs.wording.sentences import percent
from nbam_pyro.pages.contents import Contents
from nbam_pyro.pages.findings import Findings
from nbam_pyro.pages.marks import LEGENDS, marked
from nbam_pyro.pages.sentences import WORDS
from nbam_pyro.pages.texts import shortened

__all__ = ["Cell", "Column", "Listing", "listing_of"]

# Largest number of columns of the data.
_COLUMNS = 24


@dataclass(frozen=True, kw_only=True)
class Column:
    """Column of the list.

    Attributes:
        name: Name in the head of the list.
        number: Whether the column has numbers, which are sorted by value.
    """

    name: str
    number: bool = False


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Cell of the list.

    Attributes:
        text: Text to show.
        value: Number to sort by; empty to sort by the text.
        marked: Whether the cell matters.
        bar: Length of a bar behind the text, from 0 to 1, or None.
    """

    text: str
    value: str = ""
    marked: bool = False
    bar: float | None = None


@dataclass(frozen=True, kw_only=True)
class Listing:
    """List of the most suspicious rows.

    Attributes:
        columns: Columns, without that of the pictures.
        rows: Cells of each row.
        pictures: Address of the picture of each row; empty without pictures.
        described: Text alternative of each picture.
        legend: Sentence that says what marks mean; empty if there are none.
        left_out: Number of columns of the data that are not shown.
        total: Number of rows that nobody has verified.
    """

    columns: list[Column]
    rows: list[list[Cell]]
    pictures: list[str]
    described: list[str]
    legend: str
    left_out: int
    total: int


def listing_of(findings: Findings, contents: Contents | None, *, most: int) -> Listing:
    """Return the list of the most suspicious rows.

    Args:
        findings: What was found.
        contents: Contents of all rows of the data, or None.
        most: Largest number of rows.

    Raises:
        DataError: An image cannot be read.
    """
    suspicious = findings.suspicious
    shown = suspicious.head(most)
    columns, parts = _known(findings, shown)
    table = None if contents is None else contents.table
    legend, left_out = "", 0
    if findings.kind == "measurements" and "prediction" in shown:
        legend = LEGENDS[findings.kind]
    if table is not None and table.shape[1]:
        marks = marked(findings, table, shown.index)
        often = np.argsort(-marks.sum(0), kind="stable")[:_COLUMNS]
        left_out = table.shape[1] - len(often)
        legend = LEGENDS[findings.kind] if findings.kind != "measurements" else legend
        for place in sorted(often.tolist()):
            cells = table.iloc[:, place].loc[shown.index]
            number = pd.api.types.is_numeric_dtype(cells)
            columns.append(Column(name=shortened(table.columns[place], most=60), number=number))
            parts.append(
                [
                    _cell(value, number=number, marked=bool(mark))
                    for value, mark in zip(cells, marks[:, place], strict=True)
                ]
            )
    thumbnails = None if contents is None else contents.thumbnails
    return Listing(
        columns=columns,
        rows=[list(row) for row in zip(*parts, strict=True)],
        pictures=[] if thumbnails is None else [thumbnails(int(row)) for row in shown.index],
        described=[] if thumbnails is None else _described(shown),
        legend=legend,
        left_out=left_out,
        total=len(suspicious),
    )


def _known(findings: Findings, shown: pd.DataFrame) -> tuple[list[Column], list[list[Cell]]]:
    """Return the columns that do not depend on the contents, and their cells."""
    chance = WORDS[findings.kind].chance
    numbered = all(_numeric(name) for name in shown["row"])
    columns = [Column(name="row", number=numbered), Column(name=chance, number=True)]
    parts = [
        [Cell(text=shortened(name), value=_numeric(name)) for name in shown["row"]],
        [
            Cell(text=percent(r), value=f"{r:.6f}", bar=float(r))
            for r in shown["responsibility"].to_numpy(dtype=float)
        ],
    ]
    contradicts = np.zeros(len(shown), bool)
    if findings.kind == "measurements" and "prediction" in shown:
        contradicts = findings.flagged[findings.rows.index.get_indexer(shown.index)]
    for name, title, number in (
        ("label", "observed", findings.kind == "measurements"),
        ("suggested_label", "suggested", False),
        ("suggested_probability", "P(suggested)", True),
        ("prediction", "predicted", True),
        ("score", "score", True),
        ("flagged", "flagged", False),
    ):
        if name in shown and not (name == "flagged" and findings.kind != "scores"):
            columns.append(Column(name=title, number=number))
            marks = contradicts & (name in ("label", "prediction"))
            parts.append(
                [
                    _known_cell(name, value, marked=bool(mark))
                    for value, mark in zip(shown[name], marks, strict=True)
                ]
            )
    return columns, parts


def _known_cell(name: str, value: object, *, marked: bool) -> Cell:
    if name == "flagged":
        return Cell(text="yes" if value else "no")
    if name == "suggested_probability" and isinstance(value, float | np.floating):
        return Cell(text=percent(float(value)), value=f"{value:.6f}")
    return _cell(value, number=isinstance(value, int | float | np.number), marked=marked)


def _cell(value: object, *, number: bool, marked: bool) -> Cell:
    return Cell(text=shortened(value), value=_numeric(value) if number else "", marked=marked)


def _numeric(value: object) -> str:
    """Return a number as text to sort by; empty if it is none."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return ""
    return repr(number) if np.isfinite(number) else ""


def _described(shown: pd.DataFrame) -> list[str]:
    texts = []
    for one in shown.to_dict("records"):
        label = f", labelled {shortened(one['label'], most=40)}" if "label" in one else ""
        other = (
            f", suggested {shortened(one['suggested_label'], most=40)}"
            if "suggested_label" in one
            else ""
        )
        texts.append(f"Image of row {shortened(one['row'], most=60)}{label}{other}")
    return texts
