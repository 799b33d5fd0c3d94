"""Reading of data files and image folders. The file extension decides the format."""

import hashlib
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from nbam_pyro.cli.files.csv_table import csv_blocks, read_csv
from nbam_pyro.cli.files.image_folder import read_image_folder
from nbam_pyro.cli.files.labels import Spelling
from nbam_pyro.cli.files.messages import listing, problem
from nbam_pyro.cli.files.npz import read_npz
from nbam_pyro.cli.files.parquet import files_digest, parquet_blocks, parquet_files, read_parquet
from nbam_pyro.cli.files.source import Source
from nbam_pyro.errors import DataError

__all__ = ["Source", "blocks", "read"]

# Rows in a block of an array or of images.
_ROWS = 10_000

READERS = MappingProxyType(
    {".csv": read_csv, ".parquet": read_parquet, ".pq": read_parquet, ".npz": read_npz}
)


def read(
    path: Path,
    *,
    label: str | None,
    beside: Sequence[str] = (),
    optional: bool = False,
    labelled: bool = True,
    features: bool = True,
    spelling: Spelling = "auto",
) -> Source:
    """Read features and labels from a CSV, Parquet or NPZ file, or from a folder.

    Args:
        path: Path of a file that ends in .csv, .parquet, .pq or .npz (upper or lower case), of a
            folder of Parquet files, or of a folder that contains one folder of images per class.
        label: Name of the column or array that holds the labels; None for a folder of images, where
            the names of the class folders are the labels.
        beside: Names of columns or arrays that are neither features nor labels.
        optional: Ignore names in `beside` that the data do not contain.
        labelled: True if a table or an archive needs a label. If False and `label` is None, every
            label is missing.
        features: True if a table needs a feature column. An archive always needs its array X.
        spelling: How labels that are stored as texts are read. In CSV files all labels are stored
            as texts. "auto": as numbers if all of them are numbers without a leading zero.
            "numbers": as numbers if all of them can be read as numbers. "texts": as texts.

    Returns:
        The rows of the file, not yet encoded.

    Raises:
        DataError: The data cannot be read, do not have the format of the file extension, or lack a
            column.
    """
    try:
        return _read(
            path,
            label=label,
            beside=beside,
            optional=optional,
            labelled=labelled,
            features=features,
            spelling=spelling,
        )
    except OSError as error:
        raise _cannot_be_read(path, error) from error


def blocks(
    path: Path,
    *,
    label: str | None,
    beside: Sequence[str] = (),
    labelled: bool = True,
    texts: Collection[str] = (),
    spelling: Spelling = "auto",
    skip: int = 0,
) -> Iterator[Source]:
    """Read the rows of new data block by block, in their order.

    The other arguments and errors are those of `read`. Names in `beside` that the data do not
    contain are ignored. Of tables and images, only a few blocks are in memory at once. The arrays
    of an NPZ file are read at once.

    Args:
        texts: Names of the features of a table that are texts.
        skip: Number of blocks to leave out at the beginning.

    Returns:
        The blocks. The same file always has the same blocks.
    """
    try:
        reader = _reader(path, label=label, beside=beside, optional=True, labelled=labelled)
        options: dict[str, Any] = {"label": label, "beside": beside, "optional": True}
        options["spelling"] = spelling
        if reader is read_parquet:
            yield from parquet_blocks(path, skip=skip, **options)
        elif reader is read_csv:
            yield from csv_blocks(path, texts=texts, skip=skip, **options)
        else:
            whole = read(path, labelled=labelled, **options)
            starts = range(skip * _ROWS, len(whole.y), _ROWS)
            yield from (whole[start : start + _ROWS] for start in starts)
    except OSError as error:
        raise _cannot_be_read(path, error) from error


def _read(
    path: Path,
    *,
    label: str | None,
    beside: Sequence[str],
    optional: bool,
    labelled: bool,
    features: bool,
    spelling: Spelling,
) -> Source:
    reader = _reader(path, label=label, beside=beside, optional=optional, labelled=labelled)
    if reader is None:
        return read_image_folder(path, labelled=labelled)
    source = reader(
        path,
        label=label,
        beside=beside,
        optional=optional,
        features=features,
        spelling=spelling,
    )
    if path.is_dir():
        return replace(source, sha256=files_digest(path))
    with path.open("rb") as file:
        return replace(source, sha256=hashlib.file_digest(file, "sha256").hexdigest())


def _reader(
    path: Path, *, label: str | None, beside: Sequence[str], optional: bool, labelled: bool
) -> Callable[..., Source] | None:
    """Return the reader of tables or arrays; None for a folder of images."""
    if not path.exists():
        raise problem(f"'{path}' does not exist. Check the path.")
    table = path.is_dir() and bool(parquet_files(path))
    if path.is_dir() and not table:
        if label is not None:
            raise problem(
                f"'{path}' is a folder without Parquet files, and the names of its class folders "
                f"are the labels. Leave out the label {label!r}."
            )
        if beside and not optional:
            raise problem(
                f"'{path}' is a folder and has no column {listing(beside)}. Leave this name out."
            )
        return None
    reader = read_parquet if table else READERS.get(path.suffix.lower())
    if reader is None:
        raise problem(
            f"The ending {path.suffix!r} of '{path}' is not known. Give a file that ends in "
            f"{', '.join(READERS)}, or a folder that contains one folder of images per class."
        )
    if not table and not path.is_file():
        raise problem(f"'{path}' is neither a file nor a folder. Copy the data into a file.")
    if not table and path.stat().st_size == 0:
        raise problem(f"'{path}' is empty. Check that it was written.")
    if label is None and labelled:
        raise problem(
            f"'{path}' needs a label column, but none is given. Name the column or array that "
            "holds the labels (--label NAME)."
        )
    return reader


def _cannot_be_read(path: Path, error: OSError) -> DataError:
    return problem(f"'{path}' cannot be read: {error.strerror or error}.")
