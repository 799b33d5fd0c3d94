"""The encoding of tables, learned in training and used again for scoring.

Why it is not skrub's `TableVectorizer`: see docs/design/skrub.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal, TypeAlias

import numpy as np
import pandas as pd
from pydantic import Discriminator

from nbam_pyro.cli.files.cells import cell_kind, texts
from nbam_pyro.cli.files.messages import counted, listing, option, problem, repeated
from nbam_pyro.cli.files.number_column import NumberColumn
from nbam_pyro.cli.files.source import Encoded, Features, wrong_kind
from nbam_pyro.cli.files.text_column import TextColumn

__all__ = ["Columns", "tells_rows_apart"]

Column: TypeAlias = Annotated[NumberColumn | TextColumn, Discriminator("kind")]

# More texts than this would give more columns than a small network can use.
_TEXTS = 1000


@dataclass(frozen=True)
class Columns:
    """How every column of a table becomes numbers. Numbers are not standardised.

    Attributes:
        columns: Encodings of the columns, in the order of the training table.
        left_out: Names of columns that were left out because they hold too many different texts.
        dropped: Names of columns that were dropped on request or as identifiers.

    Example:
        >>> frame = pd.DataFrame({"age": [40.0, None, 42.0], "colour": ["red", "blue", "red"]})
        >>> columns = Columns.of(frame)
        >>> columns.feature_names
        ['age', 'colour=blue', 'colour=red']
        >>> encoded = columns.encode(frame)
        >>> encoded.x[1], encoded.notes
        (array([41., 1., 0.]),
         ["column 'age': 1 missing cell was filled with the median 41"])
    """

    columns: tuple[Column, ...]
    left_out: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    kind: Literal["table"] = field(default="table", repr=False)

    def __post_init__(self) -> None:
        names = [column.name for column in self.columns]
        if not names or len(set(names)) < len(names):
            raise problem("The encoding has no columns, or has a column twice. Fit again.")

    @classmethod
    def of(cls, x: Features, *, drop: Sequence[str] = ()) -> "Columns":
        """Learn medians and categories from a training table.

        Args:
            x: Training table, without its labels.
            drop: Names of columns to leave out.

        Raises:
            DataError: A column is empty, has infinite cells, or holds neither numbers nor texts;
                or no column is left.
        """
        frame = _named(x)
        if not len(frame):
            raise problem("The table has no rows. Add the data.")
        gone = set(drop)
        learned = [_learned(frame[name], name=str(name)) for name in frame if name not in gone]
        left_out = [c.name for c in learned if _has_too_many_texts(c, len(frame))]
        for name in left_out:
            _refuse_spoilt_numbers(frame[name], name=name)
        gone |= set(left_out)
        columns = tuple(column for column in learned if column.name not in gone)
        if left_out and not columns:
            raise problem(
                f"No feature column is left, because of too many different texts in "
                f"{listing(left_out)}. Add columns of numbers or categories."
            )
        if not columns:
            raise problem("The table has no feature column besides the label. Add one.")
        return cls(columns, tuple(left_out), tuple(drop))

    @property
    def feature_names(self) -> list[str]:
        """Names of the encoded columns."""
        return [name for column in self.columns for name in column.feature_names]

    def encode(self, x: Features) -> Encoded:
        """Convert a table to numbers, (N, D) float64.

        Args:
            x: Table with the columns of the training table, in any order.

        Raises:
            DataError: A column is missing or unknown, or its cells cannot be encoded.
        """
        frame = _named(x)
        self._check_names({str(name) for name in frame})
        values, start = np.empty((len(frame), len(self.feature_names))), 0
        of_columns: list[str] = []
        for column in self.columns:  # one column at a time, because a table may be large
            encoded = column.encode(frame[column.name])
            values[:, start : start + encoded.x.shape[1]] = encoded.x
            start += encoded.x.shape[1]
            of_columns += encoded.notes
        notes = [
            f"column {name!r} was left out: it holds too many different texts"
            for name in self.left_out
            if name in frame
        ]
        return Encoded(values, notes + of_columns)

    @property
    def number_names(self) -> list[str]:
        """Names of the columns that hold numbers."""
        return [column.name for column in self.columns if isinstance(column, NumberColumn)]

    @property
    def number_places(self) -> np.ndarray:
        """Places of these columns among the encoded columns."""
        numeric = [isinstance(column, NumberColumn) for column in self.columns]
        sizes = [len(column.feature_names) for column in self.columns]
        return (np.cumsum(sizes) - sizes)[numeric]

    def incomplete(self, x: Features) -> set[str]:
        """Return the names of the columns of numbers in which a cell is missing.

        Args:
            x: Table with the columns of the training table.
        """
        frame = _named(x)
        return {name for name in self.number_names if frame[name].hasnans}

    def numbers(self, x: Features, names: Sequence[str]) -> np.ndarray:
        """Return columns of numbers before missing cells are filled, (N, len(names)) float64.

        Args:
            x: Table with the columns of the training table.
            names: Names of columns that hold numbers.

        Raises:
            DataError: A column that held numbers in training now holds texts or infinite cells.
        """
        frame = _named(x)
        known = {column.name: column for column in self.columns}
        values = np.empty((len(frame), len(names)))
        for place, name in enumerate(names):
            column = known[name]
            if isinstance(column, NumberColumn):
                values[:, place] = column.numbers(frame[name])
        return values

    def _check_names(self, names: set[str]) -> None:
        known = {column.name for column in self.columns}
        missing = sorted(known - names)
        surplus = sorted(names - known - set(self.left_out) - set(self.dropped))
        wrong = [f"{listing(missing)} missing"] * bool(missing)
        wrong += [f"{listing(surplus)} unknown"] * bool(surplus)
        if wrong:
            raise problem(
                f"The columns differ from the training columns: {'; '.join(wrong)}. Give the "
                "same columns."
            )


def tells_rows_apart(different: int, rows: int) -> bool:
    """Return True if a column has too many different texts to be used as a feature.

    The limit is half the number of rows, but at least 50 and at most 1000 different texts.

    Args:
        different: Number of different texts.
        rows: Number of rows.
    """
    return different > min(_TEXTS, max(50, rows / 2))


def _learned(column: pd.Series, *, name: str) -> Column:
    match cell_kind(column, name=name):
        case "numbers":
            return NumberColumn.of(column, name=name)
        case "texts":
            return TextColumn.of(column, name=name)
        case "nothing":
            raise problem(
                f"Column {name!r} has no cell with a value. Leave the column out "
                f"({option('--drop', [name])})."
            )


def _has_too_many_texts(column: Column, rows: int) -> bool:
    return isinstance(column, TextColumn) and tells_rows_apart(len(column.categories), rows)


def _refuse_spoilt_numbers(column: pd.Series, *, name: str) -> None:
    present = column.notna().to_numpy()
    cells = pd.Series(texts(column))[present]
    spoilt = cells[pd.to_numeric(cells, errors="coerce").isna()]
    if not len(spoilt):
        raise problem(
            f"Column {name!r} holds numbers that are stored as texts. Store them as numbers, or "
            f"leave the column out ({option('--drop', [name])})."
        )
    if len(spoilt) < len(cells) / 2:
        raise problem(
            f"Column {name!r} holds numbers and {counted(len(spoilt), 'text')}, the first "
            f"{spoilt.iloc[0]!r} in row {spoilt.index[0]}. Correct or empty such cells."
        )


def _named(x: Features) -> pd.DataFrame:
    if not isinstance(x, pd.DataFrame):
        raise wrong_kind(x, expected="a table")
    names = [str(name) for name in x]
    twice = repeated(names)
    if twice:
        raise problem(
            f"The table has two columns with the name {listing(twice)}. Give every column its "
            "own name."
        )
    return x.set_axis(names, axis="columns")
