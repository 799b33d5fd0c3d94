"""The encoding of a column of texts: one column of zeros and ones per text seen in training."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd

from nbam_pyro.cli.files.cells import cell_kind, texts
from nbam_pyro.cli.files.messages import counted, listing, problem
from nbam_pyro.cli.files.source import Encoded

__all__ = ["TextColumn"]


@dataclass(frozen=True)
class TextColumn:
    """How a column of texts or categories is encoded.

    Attributes:
        name: Name of the column.
        categories: Texts seen in training, sorted.
        most_frequent: Category that missing cells are filled with.
    """

    name: str
    categories: tuple[str, ...]
    most_frequent: str
    kind: Literal["texts"] = field(default="texts", repr=False)

    def __post_init__(self) -> None:
        if self.most_frequent not in self.categories:
            raise problem(
                f"The most frequent text of column {self.name!r} is not among its categories. "
                "Fit again."
            )
        if len(set(self.categories)) < len(self.categories):
            raise problem(f"Column {self.name!r} has a category twice. Fit again.")

    @classmethod
    def of(cls, column: pd.Series, *, name: str) -> "TextColumn":
        """Learn the categories of a column.

        Args:
            column: Training cells, not all of them missing.
            name: Name of the column.
        """
        counts = Counter(cell for cell in texts(column) if cell is not None)
        categories = sorted(counts)
        return cls(name, tuple(categories), max(categories, key=counts.__getitem__))

    @property
    def feature_names(self) -> list[str]:
        """One name per category, for instance "colour=red"."""
        return [f"{self.name}={category}" for category in self.categories]

    def encode(self, column: pd.Series) -> Encoded:
        """Return zeros and ones, (N, number of categories), with a 1 in the category of the row.

        A row has only zeros if its text did not occur in the training data.

        Args:
            column: Cells of the column, of training rows or of new rows.

        Raises:
            DataError: The cells are neither texts nor numbers.
        """
        cell_kind(column, name=self.name)
        cells = pd.Series(texts(column), dtype=object)
        missing = cells.isna()
        cells[missing] = self.most_frequent
        places = pd.Index(self.categories, dtype=object).get_indexer(pd.Index(cells))
        seen = places >= 0
        values = np.zeros((len(cells), len(self.categories)))
        values[np.flatnonzero(seen), places[seen]] = 1
        notes = []
        if missing.any():
            many = counted(int(missing.sum()), "missing cell", were=("was", "were"))
            notes.append(
                f"column {self.name!r}: {many} filled with the most frequent text "
                f"{self.most_frequent!r}"
            )
        if not seen.all():
            many = counted(int((~seen).sum()), "cell", were=("holds", "hold"))
            new = listing(sorted(set(cells[~seen])), most=3)
            notes.append(
                f"column {self.name!r}: {many} a text that was not seen in training ({new})"
            )
        return Encoded(values, notes)
