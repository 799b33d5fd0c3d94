"""Parquet files, and folders of Parquet files: read at once, or in blocks of rows."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nbam_pyro.cli.files.column_names import check_names, check_repeats, named_first
from nbam_pyro.cli.files.labels import Spelling, as_numbers, raw_labels
from nbam_pyro.cli.files.messages import listing, problem
from nbam_pyro.cli.files.source import Source
from nbam_pyro.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.dataset as pads

__all__ = ["files_digest", "parquet_blocks", "parquet_files", "read_parquet"]

_ENDINGS = (".parquet", ".pq")
# Cells of a block, and most rows of a block.
_CELLS, _ROWS = 2**22, 100_000


def parquet_files(path: Path) -> list[Path]:
    """Return the Parquet files of a folder and of the folders in it, in the order of their names.

    Files and folders whose names begin with a dot or an underscore are left out, as Spark and Arrow
    do.

    Args:
        path: Folder, or a single Parquet file.
    """
    if not path.is_dir():
        return [path]
    found = [file for file in path.rglob("*") if file.suffix.lower() in _ENDINGS and file.is_file()]
    shown = [file for file in found if not _is_hidden(file.relative_to(path))]
    return sorted(shown, key=lambda file: file.relative_to(path).parts)


def files_digest(path: Path) -> str:
    """Return a hash of the Parquet files of a folder and of their names.

    Args:
        path: Folder.
    """
    digest = hashlib.sha256()
    for file in parquet_files(path):
        with file.open("rb") as opened:
            own = hashlib.file_digest(opened, "sha256").hexdigest()
        digest.update(f"{file.relative_to(path).as_posix()}\0{own}\n".encode())
    return digest.hexdigest()


def read_parquet(
    path: Path,
    *,
    label: str | None,
    beside: Sequence[str] = (),
    optional: bool = False,
    features: bool = True,
    spelling: Spelling = "auto",
) -> Source:
    """Read a Parquet file, or all Parquet files of a folder in the order of their names.

    The index of a pandas table is left out unless it has a name. Names of folders such as
    "year=2024" are columns, too.

    Args:
        path: Path of the file or folder.
        label: Name of the column that holds the labels; None if the file has no labels.
        beside: Names of columns that are neither features nor labels.
        optional: Ignore names in `beside` that the file does not contain.
        features: True if the file needs a feature column.
        spelling: How labels that are stored as texts are read. "numbers" converts them to numbers
            if all of them can be read as numbers. With "auto" and "texts" they stay texts.

    Raises:
        DataError: A file is not a Parquet file, is truncated, has other columns than the others, or
            its columns cannot be used.
    """
    with _Damage(path):
        table = _dataset(path, label=label).to_table()
    if table.num_rows == 0:
        raise problem(f"'{path}' has columns but no rows. Add the data.")
    return _source(
        table,
        path,
        label=label,
        beside=beside,
        optional=optional,
        features=features,
        spelling=spelling,
    )


def parquet_blocks(
    path: Path,
    *,
    label: str | None,
    beside: Sequence[str] = (),
    optional: bool = False,
    spelling: Spelling = "auto",
    skip: int = 0,
) -> Iterator[Source]:
    """Read blocks of rows, each of which is as large as the others but the last.

    The arguments and errors are those of `read_parquet`. Only a few blocks are in memory at once.

    Args:
        skip: Number of blocks to leave out at the beginning.
    """
    with _Damage(path):
        dataset = _dataset(path, label=label)
        size = min(_ROWS, max(1, _CELLS // len(dataset.schema.names)))
        if dataset.count_rows() == 0:
            raise problem(f"'{path}' has columns but no rows. Add the data.")
    start = skip * size
    for table in _tables(dataset, path, size=size, start=start):
        first, start = start, start + table.num_rows  # the conversion frees the table
        yield _source(
            table,
            path,
            label=label,
            beside=beside,
            optional=optional,
            features=True,
            spelling=spelling,
            start=first,
        )


def _tables(dataset: "pads.Dataset", path: Path, *, size: int, start: int) -> Iterator["pa.Table"]:
    """Yield tables of `size` rows from row `start` on; the last may be shorter."""
    import pyarrow as pa

    held: list[pa.RecordBatch] = []
    rows = 0
    for batch in _batches(dataset, path, size=size, start=start):
        held.append(batch)
        rows += batch.num_rows
        while rows >= size:
            table = pa.Table.from_batches(held)
            yield table.slice(0, size)
            held, rows = table.slice(size).to_batches(), rows - size
    if rows:
        yield pa.Table.from_batches(held)


def _batches(
    dataset: "pads.Dataset", path: Path, *, size: int, start: int
) -> Iterator["pa.RecordBatch"]:
    """Yield batches of at most `size` rows from row `start` on, without reading what is before."""
    import pyarrow.dataset as pads

    # Without a buffer, a whole group of rows is not held at once.
    options = pads.ParquetFragmentScanOptions(pre_buffer=False)
    for file in dataset.get_fragments():
        with _Damage(path):
            groups = file.split_by_row_group()
        for group in groups:
            with _Damage(path):
                # count_rows would count the whole file.
                count = sum(one.num_rows for one in group.row_groups)
                if start >= count:
                    start -= count
                    continue
                each = group.to_batches(
                    schema=dataset.schema,
                    batch_size=size,
                    batch_readahead=1,
                    fragment_readahead=1,
                    fragment_scan_options=options,
                )
            while True:
                with _Damage(path):
                    batch = next(each, None)
                if batch is None:
                    break
                left_out = min(start, batch.num_rows)
                start -= left_out
                if left_out < batch.num_rows:
                    yield batch.slice(left_out)


def _dataset(path: Path, *, label: str | None) -> "pads.Dataset":
    """Open files as one table, after a check that all have the same columns."""
    import pyarrow as pa
    import pyarrow.dataset as pads
    import pyarrow.parquet as pq
    from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

    files = parquet_files(path)
    for file in files:
        _check_magic(file)
    schemas = [pq.read_schema(file) for file in files]
    names = [str(name) for name in schemas[0].names]
    # Names are checked first, because reading may fail on repeated ones.
    check_repeats(names, label=label, path=files[0])
    for file, schema in zip(files, schemas, strict=True):
        other = sorted(set(names).symmetric_difference(schema.names))
        if other:
            raise problem(
                f"'{file}' and '{files[0]}' do not have the same columns: {listing(other)} is in "
                "one of them only. Give all files the same columns."
            )
    try:
        schema = pa.unify_schemas(schemas, promote_options="default")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise problem(
            f"The files in '{path}' have columns of different types: {error}. Write them with the "
            "same types."
        ) from error
    folder = path if path.is_dir() else path.parent
    dataset = pads.dataset(
        [file.relative_to(folder).as_posix() for file in files],
        format="parquet",
        filesystem=SubTreeFileSystem(str(folder.resolve()), LocalFileSystem()),
        partitioning="hive" if path.is_dir() else None,
    )
    for field in dataset.schema:  # names of folders
        if field.name not in names:
            schema = schema.append(field)
    return dataset.replace_schema(schema)


def _source(
    table: "pa.Table",
    path: Path,
    *,
    label: str | None,
    beside: Sequence[str],
    optional: bool,
    features: bool,
    spelling: Spelling,
    start: int = 0,
) -> Source:
    """Divide the columns of a table into features, labels and others."""
    with _Damage(path):
        frame = _frame(table)
    frame.columns = pd.Index(named_first([str(name) for name in frame.columns]))
    beside = [name for name in beside if name in frame or not optional]
    check_names(list(frame.columns), label=label, beside=beside, features=features, path=path)
    others = [*([] if label is None else [label]), *beside]
    labels = {name: raw_labels(frame[name], name=name) for name in others}
    if spelling == "numbers" and label is not None:
        labels[label] = as_numbers(labels[label])
    return Source(
        x=frame.drop(columns=others).reset_index(drop=True),
        y=np.full(len(frame), None) if label is None else labels[label],
        rows=np.arange(start, start + len(frame)),
        beside={name: labels[name] for name in beside},
    )


def _frame(table: "pa.Table") -> pd.DataFrame:
    import pyarrow as pa

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
    # Columns are freed while they are converted, because two copies of many rows may be too many.
    frame = table.to_pandas(types_mapper=own.get, self_destruct=True, split_blocks=True)
    named = [name for name in frame.index.names if name is not None]
    return frame.reset_index(level=named) if named else frame


class _Damage:
    """A block in which any error of Arrow means that a file is damaged."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        # Damage can also raise KeyError, TypeError, JSONDecodeError, ...
        if isinstance(error, Exception) and not isinstance(error, DataError):
            raise problem(f"'{self.path}' is damaged: {error}. Write it again.") from error


def _check_magic(path: Path) -> None:
    if path.stat().st_size == 0:
        raise problem(f"'{path}' is empty. Check that it was written.")
    with path.open("rb") as file:
        start = file.read(4)
        file.seek(-min(4, path.stat().st_size), os.SEEK_END)
        end = file.read()
    if start != b"PAR1":
        raise problem(f"'{path}' is not a Parquet file. Check the file extension.")
    if end != b"PAR1":
        raise problem(f"'{path}' is truncated: its end is missing. Copy or write it again.")


def _is_hidden(file: Path) -> bool:
    return any(part.startswith((".", "_")) for part in file.parts)
