"""The encoding of a table, learned in training and used again for scoring."""

from dataclasses import dataclass, field
from typing import Annotated, Literal, TypeAlias

import numpy as np
import pandas as pd
from pydantic import Discriminator

from nbam_pyro.files.cells import cell_kind
from nbam_pyro.files.messages import counted, listing, problem
from nbam_pyro.files.number_column import NumberColumn
from nbam_pyro.files.source import Encoded, Features, wrong_kind
from nbam_pyro.files.text_column import TextColumn

__all__ = ["Columns"]

Column: TypeAlias = Annotated[NumberColumn | TextColumn, Discriminator("kind")]

# More different texts than this would make more columns than a small network can use.
_TEXTS = 1000


@dataclass(frozen=True)
class Columns:
    """How every column of a table becomes numbers; nothing is standardised.

    Attributes:
        columns: the encodings of the columns, in the order of the training table.
        left_out: columns with another text in nearly every row, or with more than 1000 texts.

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
    kind: Literal["table"] = field(default="table", repr=False)

    def __post_init__(self) -> None:
        names = [column.name for column in self.columns]
        if not names or len(set(names)) < len(names):
            raise problem("The encoding has no columns, or repeats one; fit again.")

    @classmethod
    def of(cls, x: Features) -> "Columns":
        """Learn medians and categories from a training table.

        Args:
            x: the table, without its labels.

        Raises:
            DataError: a column is empty, infinite or neither numbers nor texts, or none is left.
        """
        frame = _named(x)
        if not len(frame):
            raise problem("The table has no rows; add the data.")
        learned = [_learned(frame[name], name=str(name)) for name in frame]
        left_out = [column.name for column in learned if _tells_rows_apart(column, len(frame))]
        for name in left_out:
            _refuse_spoilt_numbers(frame[name], name=name)
        columns = tuple(column for column in learned if column.name not in left_out)
        if left_out and not columns:
            raise problem(
                f"There are too many different texts in {listing(left_out)}, which teaches "
                "nothing, and no column is left; add numbers or categories."
            )
        if not columns:
            raise problem("The table has no feature column beside the label; add one.")
        return cls(columns, tuple(left_out))

    @property
    def feature_names(self) -> list[str]:
        """Names of the encoded columns."""
        return [name for column in self.columns for name in column.feature_names]

    def encode(self, x: Features) -> Encoded:
        """The table as numbers, (N, D) float64.

        Args:
            x: a table with the columns of the training table, in any order.

        Raises:
            DataError: columns are missing or surplus, or their cells do not do.
        """
        frame = _named(x)
        self._check_names({str(name) for name in frame})
        encoded = [column.encode(frame[column.name]) for column in self.columns]
        notes = [
            f"column {name!r} was left out: it holds too many different texts"
            for name in self.left_out
            if name in frame
        ]
        notes += [note for part in encoded for note in part.notes]
        return Encoded(np.hstack([part.x for part in encoded]), notes)

    def _check_names(self, names: set[str]) -> None:
        known = {column.name for column in self.columns}
        missing = sorted(known - names)
        surplus = sorted(names - known - set(self.left_out))
        wrong = [f"missing are {listing(missing)}"] * bool(missing)
        wrong += [f"surplus are {listing(surplus)}"] * bool(surplus)
        if wrong:
            raise problem(
                f"The columns are not those of training: {', '.join(wrong)}; give the same columns."
            )


def _learned(column: pd.Series, *, name: str) -> Column:
    match cell_kind(column, name=name):
        case "numbers":
            return NumberColumn.of(column, name=name)
        case "texts":
            return TextColumn.of(column, name=name)
        case "nothing":
            raise problem(f"Column {name!r} has no cell with a value; leave the column out.")


def _tells_rows_apart(column: Column, rows: int) -> bool:
    return isinstance(column, TextColumn) and len(column.categories) > min(
        _TEXTS, max(50, rows / 2)
    )


def _refuse_spoilt_numbers(column: pd.Series, *, name: str) -> None:
    cells = column.dropna()
    texts = cells[pd.to_numeric(cells, errors="coerce").isna()]
    if len(texts) < len(cells) / 2:
        raise problem(
            f"Column {name!r} holds numbers and {counted(len(texts), 'text')}, the first "
            f"{texts.iloc[0]!r} in row {texts.index[0]}; mend or empty such cells."
        )


def _named(x: Features) -> pd.DataFrame:
    if not isinstance(x, pd.DataFrame):
        raise wrong_kind(x, expected="a table")
    names = [str(name) for name in x]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise problem(f"The table repeats columns: {listing(repeated)}; give each its own name.")
    return x.set_axis(names, axis="columns")
