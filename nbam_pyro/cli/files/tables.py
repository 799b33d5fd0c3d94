"""CSV and Parquet files."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from nbam_pyro.cli.files.csv_check import checked_header
from nbam_pyro.cli.files.labels import Spelling, as_numbers, raw_labels, spelled_labels
from nbam_pyro.cli.files.messages import listing, problem, repeated
from nbam_pyro.cli.files.precision import EXACT
from nbam_pyro.cli.files.source import Source
from nbam_pyro.errors import DataError

__all__ = ["NAMELESS", "read_csv", "read_parquet"]

NAMELESS = "Unnamed: 0"
"""The name that pandas gives to a first column without a name. It is mostly a saved index."""


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
    header = _named_first(checked_header(path))
    known = set(header)
    beside = [name for name in beside if name in known or not optional]
    _check_names(header, label=label, beside=beside, features=features, path=path)
    others = [*([] if label is None else [label]), *beside]
    frame = _parsed(path, header, texts=others)
    y = np.full(len(frame), None)
    if label is not None:
        y = spelled_labels(frame[label], spelling=spelling)
        if y.dtype == object and any(isinstance(one, str) for one in y):
            spelling = "texts"
    return Source(
        x=_exact(frame.drop(columns=others), path, header),
        y=y,
        rows=np.arange(len(frame)),
        beside={name: spelled_labels(frame[name], spelling=spelling) for name in beside},
    )


def read_parquet(
    path: Path,
    *,
    label: str | None,
    beside: Sequence[str] = (),
    optional: bool = False,
    features: bool = True,
    spelling: Spelling = "auto",
) -> Source:
    """Read a Parquet file. The index of a pandas table is left out unless it has a name.

    Args:
        path: Path of the file.
        label: Name of the column that holds the labels; None if the file has no labels.
        beside: Names of columns that are neither features nor labels.
        optional: Ignore names in `beside` that the file does not contain.
        features: True if the file needs a feature column.
        spelling: How labels that are stored as texts are read. "numbers" converts them to numbers
            if all of them can be read as numbers. With "auto" and "texts" they stay texts.

    Raises:
        DataError: The file is not a Parquet file, is truncated, or its columns cannot be used.
    """
    frame = _table(path, label=label)
    frame.columns = pd.Index(_named_first([str(name) for name in frame.columns]))
    beside = [name for name in beside if name in frame or not optional]
    _check_names(list(frame.columns), label=label, beside=beside, features=features, path=path)
    if len(frame) == 0:
        raise problem(f"'{path}' has columns but no rows. Add the data.")
    others = [*([] if label is None else [label]), *beside]
    labels = {name: raw_labels(frame[name], name=name) for name in others}
    if spelling == "numbers" and label is not None:
        labels[label] = as_numbers(labels[label])
    return Source(
        x=frame.drop(columns=others).reset_index(drop=True),
        y=np.full(len(frame), None) if label is None else labels[label],
        rows=np.arange(len(frame)),
        beside={name: labels[name] for name in beside},
    )


def _parsed(path: Path, header: list[str], *, texts: Sequence[str]) -> pd.DataFrame:
    try:
        # `names` keeps the original header. `low_memory` would guess types piece by piece.
        return pd.read_csv(
            path,
            header=0,
            names=header,
            index_col=False,
            encoding="utf-8-sig",
            low_memory=False,
            dtype=dict.fromkeys(texts, str),
        )
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


def _table(path: Path, *, label: str | None) -> pd.DataFrame:
    import pyarrow as pa
    import pyarrow.parquet as pq

    _check_magic(path)
    # Missing cells must not turn integers into floats, or booleans into objects.
    own = {
        pa.int8(): pd.Int8Dtype(),
        pa.int16(): pd.Int16Dtype(),
        pa.int32(): pd.Int32Dtype(),
        pa.int64(): pd.Int64Dtype(),
        pa.uint8(): pd.UInt8Dtype(),
        pa.uint16(): pd.UInt16Dtype(),
        pa.uint32(): pd.UInt32Dtype(),
        pa.uint64(): pd.UInt64Dtype(),
        pa.bool_(): pd.BooleanDtype(),
    }
    try:
        with pq.ParquetFile(path) as file:
            names = [str(name) for name in file.schema_arrow.names]
            # Names are checked first, because pandas may fail on repeated ones.
            _check_repeats(names, label=label, path=path)
            frame = file.read().to_pandas(types_mapper=own.get)
        named = [name for name in frame.index.names if name is not None]
        return frame.reset_index(level=named) if named else frame
    except DataError:
        raise
    except Exception as error:  # Damage can also raise KeyError, TypeError, JSONDecodeError, ...
        raise problem(f"'{path}' is damaged: {error}. Write it again.") from error


def _check_magic(path: Path) -> None:
    with path.open("rb") as file:
        start = file.read(4)
        file.seek(-min(4, path.stat().st_size), os.SEEK_END)
        end = file.read()
    if start != b"PAR1":
        raise problem(f"'{path}' is not a Parquet file. Check the file extension.")
    if end != b"PAR1":
        raise problem(f"'{path}' is truncated: its end is missing. Copy or write it again.")


def _named_first(names: list[str]) -> list[str]:
    """Names of columns, with the name that pandas would give to a first column without one."""
    if not names or names[0].strip() or NAMELESS in names:
        return names
    return [NAMELESS, *names[1:]]


def _check_names(
    names: list[str],
    *,
    label: str | None,
    beside: Sequence[str],
    features: bool,
    path: Path,
) -> None:
    _check_repeats(names, label=label, path=path)
    known = set(names)
    if label is not None and label not in known:
        split_otherwise = len(names) == 1 and any(mark in names[0] for mark in ";|\t")
        hint = " Separate the cells by commas." if split_otherwise else ""
        raise problem(
            f"'{path}' has no column {label!r} for the labels. Its columns are: "
            f"{listing(names)}.{hint}"
        )
    missing = [name for name in beside if name not in known]
    if missing:
        raise problem(
            f"'{path}' has no column {listing(missing)}. Its columns are: {listing(names)}."
        )
    if "" in (name.strip() for name in names):
        raise problem(f"'{path}' has a column without a name. Name it or leave it out.")
    others = [*([] if label is None else [label]), *beside]
    if features and len(names) == len(others):
        what = f"the label {label!r}" if not beside else listing(others)
        raise problem(f"'{path}' has no feature column besides {what}. Add one.")


def _check_repeats(names: list[str], *, label: str | None, path: Path) -> None:
    twice = repeated(names)
    if label in twice:
        raise problem(
            f"'{path}' has more than one column {label!r}. Keep one of them for the labels."
        )
    if twice:
        raise problem(
            f"'{path}' has two columns with the name {listing(twice)}. Give every column its "
            "own name."
        )
