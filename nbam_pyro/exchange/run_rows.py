"""Rows of a run as other tools get them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd

from nbam_pyro.errors import DataError, printable

__all__ = ["AGENT", "TRUE_LABEL", "VERDICT", "VERDICTS", "RunRows"]

AGENT = "nbam_pyro"
"""Name of the author of suggestions."""
TRUE_LABEL, VERDICT = "true_label", "verdict"
"""Names of the two questions about a row."""
VERDICTS = ("right", "wrong", "unsure")
"""Answers to the question about the verdict."""

_QUESTIONS = {
    "classification": "Is the label right?",
    "regression": "Is the measurement right?",
    "detection": "Is the row normal (right) or an anomaly (wrong)?",
}


@dataclass(frozen=True, kw_only=True, eq=False)
class RunRows:
    """Rows of a run, and what the run says about them.

    Args:
        task: "classification", "regression" or "detection".
        table: One line per row. Columns: row (its name), responsibility (the probability that the
            target is contaminated), label (not for detection; a missing label is an empty text);
            for labels suggested_label and suggested_probability; for measurements prediction; for
            detection score. A column inclusion_probability is passed on.
        classes: Names of the classes as texts; empty if targets are not labels.
        media: Path or address of the picture of each row, by row; empty if rows are not pictures.
        cells: Columns of the data, for people who judge a row. The index has the names of the rows
            as texts. None if the columns are not known.

    Raises:
        DataError: Two classes or two columns look the same after control characters are shown as
            text.

    Example:
        >>> table = pd.DataFrame({"row": [0], "label": ["a"], "responsibility": [0.9]})
        >>> RunRows(task="classification", table=table, classes=("a", "b")).question
        'Is the label right?'
    """

    task: Literal["classification", "regression", "detection"]
    table: pd.DataFrame
    classes: tuple[str, ...] = ()
    media: dict[str, str] = field(default_factory=dict)
    cells: pd.DataFrame | None = None

    def __post_init__(self) -> None:
        columns = [] if self.cells is None else [str(name) for name in self.cells]
        for what, names in (("classes", self.classes), ("columns", columns)):
            if len(set(map(shown, names))) != len(names):
                raise DataError(
                    f"Two {what} differ only in characters that cannot be shown. Rename one of "
                    "them."
                )

    @property
    def question(self) -> str:
        """Question about each row that a person answers with right, wrong or unsure."""
        return _QUESTIONS[self.task]

    @cached_property
    def spelled(self) -> dict[str, str]:
        """Names of the classes by their texts on a screen, without control characters."""
        return {shown(name): name for name in self.classes}

    @cached_property
    def labels(self) -> dict[str, str]:
        """Labels by row, as texts; an empty text where a label is missing."""
        if "label" not in self.table:
            return {}
        cells = self.table["label"].map(as_text)
        return dict(zip(self.table["row"].map(str), cells, strict=True))

    @cached_property
    def contents(self) -> Mapping[str, dict[str, str]]:
        """Columns of the data as texts, by row and name of the column; empty if not known."""
        if self.cells is None:
            return {}
        texts = self.cells.astype(object).map(lambda cell: shown(as_text(cell)))
        texts.columns = pd.Index([shown(str(name)) for name in texts])
        return dict(zip(texts.index, texts.to_dict("records"), strict=True))

    @property
    def in_order(self) -> pd.DataFrame:
        """The table in the order of the data: by number, or by name if rows have names."""
        names = self.table["row"].map(str)
        numbered = names.str.fullmatch(r"\d+").all()
        order = np.argsort(names.astype(int) if numbered else names, kind="stable")
        return self.table.iloc[np.asarray(order)].reset_index(drop=True)

    def with_cells(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return a table of rows with the columns of the data behind its own columns.

        A column of the data whose name the table has gets " (data)" behind its name. If the columns
        of the data are not known, the table is returned.

        Args:
            table: Table with a column row.
        """
        if self.cells is None:
            return table
        cells = self.cells.loc[table["row"].map(str).tolist()].set_axis(table.index)
        taken = {*table, *cells}
        names = {}
        for name in cells.columns.intersection(table.columns):
            names[name] = f"{name} (data)"
            while names[name] in taken:
                names[name] += " (data)"
        return pd.concat([table, cells.rename(columns=names)], axis=1)

    def described(self, line: dict[str, Any]) -> str:
        """Return what the run says about a row as one line of text.

        Args:
            line: Cells of the row by column.
        """
        told = [f"Row {line['row']}"]
        told += [f"{name} {line[name]}" for name in ("label", "score") if name in line]
        what = "an anomaly" if self.task == "detection" else "wrong"
        told.append(f"probability that it is {what} {line['responsibility']:.3f}")
        if "suggested_label" in line:
            chance = line["suggested_probability"]
            told.append(f"suggested label {line['suggested_label']} ({chance:.3f})")
        if "prediction" in line:
            told.append(f"prediction {line['prediction']:.6g}")
        return shown("; ".join(told) + ".")

    def lines(self) -> list[dict[str, Any]]:
        """Return the lines of the table as dictionaries of texts and numbers, for JSON."""
        wanted = [
            *("row", "label", "responsibility", "suggested_label", "suggested_probability"),
            *("prediction", "score", "inclusion_probability"),
        ]
        table = self.table[[name for name in wanted if name in self.table]]
        return [
            {
                str(name): float(cell)
                if isinstance(cell, float | np.floating) and name != "label"
                else shown(as_text(cell))
                for name, cell in line.items()
            }
            for line in table.to_dict("records")
        ]


def as_text(cell: object) -> str:
    """Return a cell as text; missing cells are empty.

    Args:
        cell: Text, number, boolean, or a missing value such as None or NaN.

    Example:
        >>> as_text(None), as_text(7), as_text("a")
        ('', '7', 'a')
    """
    if cell is None or cell is pd.NA or cell is pd.NaT:
        return ""
    return "" if isinstance(cell, float | np.floating) and math.isnan(cell) else str(cell)


def shown(text: str) -> str:
    r"""Return a text on one line in which control characters are written as escapes.

    Args:
        text: Any text.

    Example:
        >>> shown("a\x1b[2Jb\nc")
        'a\\x1b[2Jb\\nc'
    """
    return printable(text).replace("\n", "\\n")
