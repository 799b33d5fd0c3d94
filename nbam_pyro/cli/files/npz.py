"""NPZ archives of arrays."""

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from nbam_pyro.cli.files.labels import Spelling, as_numbers
from nbam_pyro.cli.files.messages import counted, listing, problem
from nbam_pyro.cli.files.source import Source

__all__ = ["read_npz"]

MAGIC = (b"PK\x03\x04", b"PK\x05\x06")  # with arrays, without


def read_npz(
    path: Path,
    *,
    label: str | None,
    beside: Sequence[str] = (),
    optional: bool = False,
    features: bool = True,
    spelling: Spelling = "auto",
) -> Source:
    """Read the array X and the labels from an archive written by `numpy.savez`.

    Args:
        path: Path of the archive.
        label: Name of the array that holds the labels; None if there are none. If the labels are
            texts, an empty text is a missing label.
        beside: Names of arrays that are neither features nor labels.
        optional: Ignore names in `beside` that the archive does not contain.
        features: Not used, because an archive always needs the array X.
        spelling: How labels that are stored as texts are read. "numbers" converts them to numbers
            if all of them can be read as numbers. With "auto" and "texts" they stay texts.

    Raises:
        DataError: The file is not an NPZ archive, is truncated, or its arrays cannot be used.
    """
    with path.open("rb") as file:
        if file.read(4) not in MAGIC:
            raise problem(f"'{path}' is not an NPZ archive. Write it with numpy.savez.")
        file.seek(0)
        x, columns = _features_and_columns(file, label, beside, path=path, optional=optional)
    if x.ndim < 2:
        raise problem(
            f"Array 'X' of '{path}' has shape {x.shape}. It needs one row per datum; for a single "
            "feature write X.reshape(-1, 1)."
        )
    if len(x) == 0:
        raise problem(f"'{path}' has arrays but no rows. Add the data.")
    checked = {
        name: _labels(values, len(x), name=name, path=path) for name, values in columns.items()
    }
    y = np.full(len(x), None) if label is None else checked.pop(label)
    if spelling == "numbers":
        y = as_numbers(y)
    return Source(x=x, y=y, rows=np.arange(len(x)), beside=checked)


def _features_and_columns(
    file: BinaryIO, label: str | None, beside: Sequence[str], *, path: Path, optional: bool
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    try:
        # An open file instead of a path: numpy does not close a damaged archive.
        with np.load(file, allow_pickle=False) as archive:
            if "X" in (label, *beside):
                what = "label" if label == "X" else "verified array"
                raise problem(
                    f"The {what} is 'X', but 'X' is the array of features of '{path}'. Name "
                    "another array."
                )
            there = [one for one in beside if one in archive.files or not optional]
            wanted = there if label is None else [label, *there]
            x = _array(archive, "X", path=path)
            return x, {name: _array(archive, name, path=path) for name in wanted}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError) as error:
        raise problem(
            f"'{path}' is truncated or damaged: {error}. Copy or write it again."
        ) from error


def _array(archive: np.lib.npyio.NpzFile, name: str, *, path: Path) -> np.ndarray:
    if name not in archive.files:
        what = "features" if name == "X" else "labels"
        raise problem(
            f"'{path}' has no array {name!r} for the {what}. Its arrays are: "
            f"{listing(archive.files)}."
        )
    try:
        array = archive[name]
    except (ValueError, RuntimeError, MemoryError) as error:
        if "pickle" in str(error):
            raise problem(
                f"Array {name!r} of '{path}' holds Python objects. They are not loaded, because "
                "loading them could run code. Save numbers, or for labels use astype(str)."
            ) from error
        raise problem(
            f"Array {name!r} of '{path}' cannot be read: {error}. Write it again."
        ) from error
    if not isinstance(array, np.ndarray):
        raise problem(f"{name!r} of '{path}' is not an array. Write it with numpy.savez.")
    return array


def _labels(y: np.ndarray, rows: int, *, name: str, path: Path) -> np.ndarray:
    if y.ndim != 1:
        raise problem(
            f"Array {name!r} of '{path}' has shape {y.shape}. Labels need one dimension; use for "
            f"instance {name}.ravel()."
        )
    if len(y) != rows:
        raise problem(
            f"'{path}' has {counted(rows, 'row')} in 'X' and {counted(len(y), 'label')} in "
            f"{name!r}. Both need the same length."
        )
    if y.dtype.kind == "U":
        labels = y.astype(object)
        labels[y == ""] = None
        return labels
    if y.dtype.kind not in "biuf":
        raise problem(
            f"Array {name!r} of '{path}' has type {y.dtype}. Labels must be numbers, booleans or "
            "texts."
        )
    return y
