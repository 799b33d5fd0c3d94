"""CSV files."""

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd

from nbam_pyro.cli.files.column_names import check_names, named_first
from nbam_pyro.cli.files.csv_check import checked_header
from nbam_pyro.cli.files.labels import Spelling, spelled_labels
from nbam_pyro.cli.files.messages import problem
from nbam_pyro.cli.files.precision import EXACT
from nbam_pyro.cli.files.source import Source

__all__ = ["csv_blocks", "read_csv"]

# Cells of a block, and most rows of a block.
_CELLS, _ROWS = 2**22, 100_000


def read_csv(
    path: Path,
    *,
    label: str | None,
    beside: Sequence[str] = (),
    optional: bool = False,
    features: bool = True,
    spelling: Spelling = "auto",
) -> Source:
    """Read a UTF-8 CSV file with a header and commas between its cells.

    Args:
        path: Path of the file.
        label: Name of the column that holds the labels; None if the file has no labels.
        beside: Names of columns that are neither features nor labels.
        optional: Ignore names in `beside` that the file does not contain.
        features: True if the file needs a feature column.
        spelling: How labels are read: "auto", "numbers" or "texts". `Spelling` describes them. If
            the labels are read as texts, the columns in `beside` are also read as texts.

    Raises:
        DataError: The file is not a regular CSV file, or its columns cannot be used.
    """
    header = named_first(checked_header(path))
    known = set(header)
    beside = [name for name in beside if name in known or not optional]
    check_names(header, label=label, beside=beside, features=features, path=path)
    others = [*([] if label is None else [label]), *beside]
    frame = _parsed(path, header, texts=others)
    x = _exact(frame.drop(columns=others), path, header)
    return _source(x, frame[others], label=label, spelling=spelling, start=0)


def csv_blocks(
    path: Path,
    *,
    label: str | None,
    beside: Sequence[str] = (),
    optional: bool = False,
    texts: Collection[str] = (),
    spelling: Spelling = "auto",
    skip: int = 0,
) -> Iterator[Source]:
    """Read blocks of rows, each of which is as large as the others but the last.

    The other arguments and errors are those of `read_csv`. One block is in memory at once.

    Args:
        texts: Names of features that are texts. Types of other features are those of the block.
        skip: Number of blocks to leave out at the beginning.
    """
    header = named_first(checked_header(path))
    known = set(header)
    beside = [name for name in beside if name in known or not optional]
    check_names(header, label=label, beside=beside, features=True, path=path)
    others = [*([] if label is None else [label]), *beside]
    size = min(_ROWS, max(1, _CELLS // len(header)))
    start = 0
    with _parser(path, header, texts=[*others, *known.intersection(texts)], rows=size) as parser:
        for frame in parser:
            if start >= skip * size:
                x = frame.drop(columns=others).reset_index(drop=True)
                beside_x = frame[others].reset_index(drop=True)
                yield _source(x, beside_x, label=label, spelling=spelling, start=start)
            start += len(frame)


def _source(
    x: pd.DataFrame, others: pd.DataFrame, *, label: str | None, spelling: Spelling, start: int
) -> Source:
    """Read the labels and the columns beside them, which are texts."""
    y = np.full(len(x), None)
    if label is not None:
        y = spelled_labels(others[label], spelling=spelling)
        if y.dtype == object and any(isinstance(one, str) for one in y):
            spelling = "texts"
    return Source(
        x=x,
        y=y,
        rows=np.arange(start, start + len(x)),
        beside={
            str(name): spelled_labels(column, spelling=spelling)
            for name, column in others.items()
            if name != label
        },
    )


def _parsed(path: Path, header: list[str], *, texts: Sequence[str]) -> pd.DataFrame:
    with _parser(path, header, texts=texts) as parser:
        return next(parser)


@contextmanager
def _parser(
    path: Path, header: list[str], *, texts: Sequence[str], rows: int | None = None
) -> Iterator[Iterator[pd.DataFrame]]:
    """Open a file as tables of some rows; None for all rows."""
    try:
        # `names` keeps the original header. `low_memory` would guess types piece by piece.
        with pd.read_csv(
            path,
            header=0,
            names=header,
            index_col=False,
            encoding="utf-8-sig",
            low_memory=False,
            dtype=dict.fromkeys(texts, str),
            chunksize=rows,
            iterator=True,
        ) as parser:
            yield parser if rows is not None else iter([parser.read()])
    except ValueError as error:
        raise problem(f"'{path}' cannot be parsed as CSV: {error}. Check its quotes.") from error


def _exact(frame: pd.DataFrame, path: Path, header: list[str]) -> pd.DataFrame:
    """Return the features, with exact whole numbers.

    pandas rounds integers beyond 2^53 if a cell of their column is missing, and reads columns with
    integers of more than 64 bits as texts.
    """
    doubtful = [str(name) for name, c in frame.items() if _is_rounded(c) or _is_long(c)]
    if not doubtful:
        return frame
    cells = _parsed(path, header, texts=doubtful)
    whole = {}
    for name in doubtful:
        present = cells[name].notna()
        if all(re.fullmatch(r"\s*[+-]?[0-9]+\s*", cell) for cell in cells[name][present]):
            exact = pd.Series(np.full(len(cells), None), dtype=object)
            exact[present] = [int(cell) for cell in cells[name][present]]
            whole[name] = exact
    return frame.assign(**whole)


def _is_rounded(column: pd.Series) -> bool:
    if column.dtype.kind != "f":
        return False
    values = column.to_numpy()
    return bool((np.abs(values) >= EXACT).any() and np.isnan(values).any())


def _is_long(column: pd.Series) -> bool:
    if column.dtype.kind in "biuf":
        return False
    first = column.dropna().head(1).tolist()
    return bool(first) and re.fullmatch(r"\s*[+-]?[0-9]+\s*", str(first[0])) is not None
