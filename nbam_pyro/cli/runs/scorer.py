"""`Scorer`, what reads and scores new rows with a run."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from nbam_pyro.cli.files import Columns, Encoding, Source, blocks, read
from nbam_pyro.cli.files.labels import Spelling

__all__ = ["Scorer"]


@dataclass(frozen=True, kw_only=True)
class Scorer:
    """How new rows are read and scored with a run.

    Attributes:
        label: Name of the column of targets; None if there is none.
        beside: Names of columns that are neither features nor targets, and may be missing.
        labelled: Whether a table needs a target.
        spelling: How targets that are stored as texts are read.
        encoding: Encoding of the features.
        table: Function that takes rows and returns a table in their order, and notes on the rows.
        by: Name of the column that is larger in more suspicious rows.
        prior: Function that takes rows and returns the probability of contamination that their
            responsibilities started from, (N,); None without responsibilities of a fit.
        kinds: Types of those columns whose type a block of rows may not show, such as labels that
            are all missing: values of the type, by name of the column.
    """

    label: str | None
    beside: Sequence[str]
    labelled: bool = True
    spelling: Spelling = "auto"
    encoding: Encoding
    table: Callable[[Source], tuple[pd.DataFrame, list[str]]]
    by: str
    prior: Callable[[Source], np.ndarray] | None = None
    kinds: Mapping[str, np.ndarray] = field(default_factory=dict)

    def read(self, data: Path) -> Source:
        """Read all rows at once.

        Args:
            data: File or folder of new rows.
        """
        return read(
            data,
            label=self.label,
            beside=self.beside,
            optional=True,
            labelled=self.labelled,
            spelling=self.spelling,
        )

    def blocks(self, data: Path, *, skip: int) -> Iterator[Source]:
        """Read the rows block by block.

        Args:
            data: File or folder of new rows.
            skip: Number of blocks to leave out at the beginning.
        """
        columns = self.encoding.columns if isinstance(self.encoding, Columns) else ()
        return blocks(
            data,
            label=self.label,
            beside=self.beside,
            labelled=self.labelled,
            texts=[one.name for one in columns if one.kind == "texts"],
            spelling=self.spelling,
            skip=skip,
        )

    def ordered(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return a table with the most suspicious rows first.

        Args:
            table: Table that `table` returned.
        """
        return table.sort_values(self.by, ascending=False, kind="stable")
