"""CSV and Parquet files."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from nbam_pyro.errors import DataError
from nbam_pyro.files.csv_check import checked_header
from nbam_pyro.files.labels import raw_labels
from nbam_pyro.files.messages import listing, problem
from nbam_pyro.files.source import Source

__all__ = ["read_csv", "read_parquet"]


def read_csv(
    path: Path, *, label: str | None, beside: Sequence[str] = (), optional: bool = False
) -> Source:
    """Read a UTF-8 CSV file with a header and commas between its cells.

    Args:
        path: of the file.
        label: name of the column that holds the labels; None where there are none.
        beside: names of columns that are neither features nor labels.
        optional: pass over those of them that there are not.

    Raises:
        DataError: it is not such a file, or its columns do not do.
    """
    header = checked_header(path)
    beside = [name for name in beside if name in header or not optional]
    _check_names(header, label=label, beside=beside, path=path)
    try:
        # `names` keeps the header as it is written; `low_memory` would type a column in pieces.
        frame = pd.read_csv(
            path, header=0, names=header, index_col=False, encoding="utf-8-sig", low_memory=False
        )
    except ValueError as error:
        raise problem(f"{path} cannot be parsed as CSV: {error}; check its quotes.") from error
    return _source(frame, label=label, beside=beside)


def read_parquet(
    path: Path, *, label: str | None, beside: Sequence[str] = (), optional: bool = False
) -> Source:
    """Read one Parquet file; the index of a pandas table written to it is left out.

    Args:
        path: of the file.
        label: name of the column that holds the labels; None where there are none.
        beside: names of columns that are neither features nor labels.
        optional: pass over those of them that there are not.

    Raises:
        DataError: it is not such a file, is cut off, or its columns do not do.
    """
    import pyarrow.parquet as pq

    _check_magic(path)
    try:
        with pq.ParquetFile(path) as file:
            names = [str(name) for name in file.schema_arrow.names]
            # Repeated names come first: pandas' own reading may trip over them.
            _check_repeats(names, label=label, path=path)
            frame = file.read().to_pandas()
    except DataError:
        raise
    except Exception as error:  # Damage also shows as KeyError, TypeError, JSONDecodeError, ...
        raise problem(f"{path} is damaged: {error}; write it again.") from error
    frame.columns = pd.Index([str(name) for name in frame.columns])
    beside = [name for name in beside if name in frame or not optional]
    _check_names(list(frame.columns), label=label, beside=beside, path=path)
    if len(frame) == 0:
        raise problem(f"{path} has columns but no rows; add the data.")
    return _source(frame, label=label, beside=beside)


def _check_magic(path: Path) -> None:
    with path.open("rb") as file:
        start = file.read(4)
        file.seek(-min(4, path.stat().st_size), os.SEEK_END)
        end = file.read()
    if start != b"PAR1":
        raise problem(f"{path} is not a Parquet file; check its ending.")
    if end != b"PAR1":
        raise problem(f"{path} is truncated: its end is missing; copy or write it again.")


def _check_names(names: list[str], *, label: str | None, beside: Sequence[str], path: Path) -> None:
    _check_repeats(names, label=label, path=path)
    if label is not None and label not in names:
        split_otherwise = len(names) == 1 and any(mark in names[0] for mark in ";|\t")
        hint = " Separate its cells by commas." if split_otherwise else ""
        raise problem(
            f"{path} has no column {label!r} for the labels; choose one of its columns: "
            f"{listing(names)}.{hint}"
        )
    missing = [name for name in beside if name not in names]
    if missing:
        raise problem(
            f"{path} has no column {listing(missing)}; choose one of its columns: {listing(names)}."
        )
    if "" in (name.strip() for name in names):
        raise problem(
            f"{path} has a column without a name, perhaps an index that was saved with the "
            "table; name it or leave it out."
        )
    others = [*([] if label is None else [label]), *beside]
    if len(names) == len(others):
        what = f"the label {label!r}" if not beside else listing(others)
        raise problem(f"{path} has no feature column beside {what}; add one.")


def _check_repeats(names: list[str], *, label: str | None, path: Path) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if label in repeated:
        raise problem(f"{path} has more than one column {label!r}; keep one for the labels.")
    if repeated:
        raise problem(f"{path} repeats columns: {listing(repeated)}; give each its own name.")


def _source(frame: pd.DataFrame, *, label: str | None, beside: Sequence[str]) -> Source:
    others = [*([] if label is None else [label]), *beside]
    none = np.full(len(frame), None)
    return Source(
        x=frame.drop(columns=others).reset_index(drop=True),
        y=none if label is None else raw_labels(frame[label], name=label),
        rows=np.arange(len(frame)),
        beside={name: raw_labels(frame[name], name=name) for name in beside},
    )
