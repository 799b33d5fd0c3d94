"""Rows of a run as other tools get them."""

import math
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

    Raises:
        DataError: Two classes look the same after control characters are shown as text.

    Example:
        >>> table = pd.DataFrame({"row": [0], "label": ["a"], "responsibility": [0.9]})
        >>> RunRows(task="classification", table=table, classes=("a", "b")).question
        'Is the label right?'
    """

    task: Literal["classification", "regression", "detection"]
    table: pd.DataFrame
    classes: tuple[str, ...] = ()
    media: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.spelled) != len(self.classes):
            raise DataError(
                "Two classes differ only in characters that cannot be shown. Rename one of them."
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

    @property
    def in_order(self) -> pd.DataFrame:
        """The table in the order of the data: by number, or by name if rows have names."""
        names = self.table["row"].map(str)
        numbered = names.str.fullmatch(r"\d+").all()
        order = np.argsort(names.astype(int) if numbered else names, kind="stable")
        return self.table.iloc[np.asarray(order)].reset_index(drop=True)

    def described(self, line: dict[str, Any]) -> str:
        """Return what the run says about a row as one line of text.

        Args:
            line: Cells of the row by column.
        """
        told = [f"Row {line['row']}"]
        told += [f"{name} {line[name]}" for name in ("label", "score") if name in line]
        told.append(f"probability that it is wrong {line['responsibility']:.3f}")
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
        cell: Text, number, boolean, None or NaN.

    Example:
        >>> as_text(None), as_text(7), as_text("a")
        ('', '7', 'a')
    """
    return "" if cell is None or (isinstance(cell, float) and math.isnan(cell)) else str(cell)


def shown(text: str) -> str:
    r"""Return a text on one line in which control characters are written as escapes.

    Args:
        text: Any text.

    Example:
        >>> shown("a\x1b[2Jb\nc")
        'a\\x1b[2Jb\\nc'
    """
    return printable(text).replace("\n", "\\n")
