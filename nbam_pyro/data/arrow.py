"""Rows of Parquet files and other Arrow data, in a file that a fit reads batch by batch."""

import tempfile
from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import TensorDataset

from nbam_pyro.errors import DataError

__all__ = ["arrow_rows"]

# Rows that are converted at once.
_ROWS = 65_536
# Types that single precision holds exactly.
_SINGLE = ("float", "halffloat", "bool", "int8", "int16", "uint8", "uint16")


def arrow_rows(
    source: Any,
    *,
    y: str,
    x: Sequence[str] | None = None,
    dtype: Any = None,
    folder: str | Path | None = None,
) -> TensorDataset:
    """Return rows of Parquet files as a data set for `fit`, without holding the features in memory.

    A fit takes rows in random order, which Parquet cannot read quickly. The features are therefore
    copied once to a temporary file of numbers, which the operating system reads when they are used.
    The file is deleted when the data set is no longer used. The targets are in memory.

    Args:
        source: Path of a Parquet file or of a folder of Parquet files, a list of such files, a
            `pyarrow.dataset.Dataset`, a `pyarrow.Table`, or a Hugging Face `datasets.Dataset`.
        y: Name of the column of targets: measurements, or labels that are whole numbers from 0.
        x: Names of the columns of features, numbers or lists of numbers; None for all other
            columns.
        dtype: Type of the features, such as "float32"; None for single precision if it holds all
            columns exactly, and double precision otherwise. A story in single precision needs
            "float32", or else `fit` makes a copy in memory.
        folder: Folder for the temporary file; None for the system's temporary folder.

    Returns:
        A data set of tensors x, (N, D), and y, (N,).

    Raises:
        DataError: A column is missing, is not numeric or has missing cells, or there are no rows.

    Example:
        >>> import pyarrow as pa
        >>> table = pa.table({"a": [0.5, 1.5], "b": [1, 2], "label": [0, 1]})
        >>> rows = arrow_rows(table, y="label", dtype="float32")
        >>> rows.tensors[0].tolist(), rows.tensors[1].tolist()
        ([[0.5, 1.0], [1.5, 2.0]], [0, 1])
    """
    count, schema, batches = _opened(source)
    if not count:
        raise DataError("The data have no rows. Give at least two rows.")
    names = [name for name in schema.names if name != y] if x is None else list(x)
    missing = [name for name in [y, *names] if name not in schema.names]
    if missing or not names:
        raise DataError(
            f"The data have no column {missing[0]!r}. Their columns are: {', '.join(schema.names)}."
            if missing
            else f"The data have no column of features beside {y!r}."
        )
    if dtype is None:
        single = all(str(schema.field(name).type) in _SINGLE for name in names)
        dtype = np.float32 if single else np.float64
    features: np.memmap | None = None
    targets = []
    start = 0
    for batch in batches:
        block = np.hstack([_numbers(batch.column(name), name) for name in names])
        if features is None:
            with tempfile.TemporaryFile(dir=folder) as file:  # the map keeps its content
                shape = count, block.shape[1]
                features = np.memmap(file, dtype=dtype, mode="w+", shape=shape)
        if block.shape[1] != features.shape[1]:
            raise DataError(
                f"Lists have {features.shape[1]} numbers before row {start}, and {block.shape[1]} "
                "from there on. Give lists of the same length."
            )
        features[start : start + len(block)] = block
        targets.append(_numbers(batch.column(y), y)[:, 0])
        start += len(block)
    return TensorDataset(torch.from_numpy(features), torch.from_numpy(np.concatenate(targets)))


def _opened(source: Any) -> tuple[int, Any, Iterator[Any]]:
    """Return the number of rows, the schema, and batches of rows."""
    import pyarrow as pa
    import pyarrow.dataset as pads

    if isinstance(source, pa.Table):
        return len(source), source.schema, iter(source.to_batches(max_chunksize=_ROWS))
    if hasattr(source, "with_format") and hasattr(source, "column_names"):  # Hugging Face
        arrow = source.with_format("arrow")
        starts = range(0, len(source), _ROWS)
        parts = (arrow[start : start + _ROWS].combine_chunks() for start in starts)
        batches = (batch for part in parts for batch in part.to_batches())
        return len(source), arrow[:1].schema, batches
    if isinstance(source, str | PathLike):
        source = pads.dataset(source, format="parquet", partitioning="hive")
    elif isinstance(source, list | tuple):
        source = pads.dataset([str(one) for one in source], format="parquet")
    if not isinstance(source, pads.Dataset):
        raise DataError(
            f"The data are a {type(source).__name__}. Give a path of Parquet files, Arrow data or "
            "a Hugging Face Dataset."
        )
    few = {"batch_size": _ROWS, "batch_readahead": 1, "fragment_readahead": 1}
    return source.count_rows(), source.schema, source.to_batches(**few)


def _numbers(column: Any, name: str) -> np.ndarray:
    """Return a column as numbers, (n, 1), or a column of lists, (n, D)."""
    import pyarrow.types as kinds

    rows = len(column)
    if kinds.is_list(column.type) or kinds.is_fixed_size_list(column.type):
        column = column.flatten()
    numeric = kinds.is_integer(column.type) or kinds.is_floating(column.type)
    if not numeric and not kinds.is_boolean(column.type):
        raise DataError(
            f"Column {name!r} has the type {column.type}. Convert it to numbers, and labels to "
            "whole numbers from 0."
        )
    if column.null_count or (rows and len(column) % rows):
        raise DataError(
            f"Column {name!r} has missing cells or lists of different lengths. Fill them in, or "
            "leave such rows out."
        )
    values: np.ndarray = column.to_numpy(zero_copy_only=False)
    return values.reshape(rows, -1)
