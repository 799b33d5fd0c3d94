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
    spelling: Spelling = "auto",
) -> Source:
    """Read the array X and the labels from an archive written by `numpy.savez`.

    Args:
        path: The archive.
        label: The name of the array that holds the labels; among texts an empty one is a missing
            label. None where there are none.
        beside: Names of arrays that are neither features nor labels.
        optional: Ignore names in `beside` that the archive does not contain.
        spelling: How numbers among texts are taken: as texts, unless "numbers".

    Raises:
        DataError: It is not such an archive, is cut off, or its arrays do not do.
    """
    with path.open("rb") as file:
        if file.read(4) not in MAGIC:
            raise problem(f"{path} is not an NPZ archive; write it with numpy.savez.")
        file.seek(0)
        x, columns = _features_and_columns(file, label, beside, path=path, optional=optional)
    if x.ndim < 2:
        raise problem(
            f"Array 'X' of {path} has shape {x.shape}; give a row per datum, for one feature "
            "X.reshape(-1, 1)."
        )
    if len(x) == 0:
        raise problem(f"{path} has arrays but no rows; add the data.")
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
        # Not by its path: numpy leaves a damaged archive open.
        with np.load(file, allow_pickle=False) as archive:
            if "X" in (label, *beside):
                what = "label" if label == "X" else "verified array"
                raise problem(f"The {what} is 'X', the array of features of {path}; name another.")
            there = [one for one in beside if one in archive.files or not optional]
            wanted = there if label is None else [label, *there]
            x = _array(archive, "X", path=path)
            return x, {name: _array(archive, name, path=path) for name in wanted}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError) as error:
        raise problem(
            f"{path} is truncated or damaged: {error}; copy or write it again."
        ) from error


def _array(archive: np.lib.npyio.NpzFile, name: str, *, path: Path) -> np.ndarray:
    if name not in archive.files:
        what = "features" if name == "X" else "labels"
        raise problem(
            f"{path} has no array {name!r} for the {what}; its arrays are: "
            f"{listing(archive.files)}."
        )
    try:
        array = archive[name]
    except (ValueError, RuntimeError, MemoryError) as error:
        if "pickle" in str(error):
            raise problem(
                f"Array {name!r} of {path} holds Python objects, which are not loaded because "
                "that could run code; save it as numbers or, for labels, with astype(str)."
            ) from error
        raise problem(
            f"Array {name!r} of {path} cannot be read: {error}; write it again."
        ) from error
    if not isinstance(array, np.ndarray):
        raise problem(f"{name!r} of {path} is not an array; write it with numpy.savez.")
    return array


def _labels(y: np.ndarray, rows: int, *, name: str, path: Path) -> np.ndarray:
    if y.ndim != 1:
        raise problem(
            f"Array {name!r} of {path} has shape {y.shape}; labels need one dimension, for "
            f"instance {name}.ravel()."
        )
    if len(y) != rows:
        raise problem(
            f"{path} has {counted(rows, 'row')} in 'X' and {counted(len(y), 'label')} in "
            f"{name!r}; their lengths must agree."
        )
    if y.dtype.kind == "U":
        labels = y.astype(object)
        labels[y == ""] = None
        return labels
    if y.dtype.kind not in "biuf":
        raise problem(
            f"Array {name!r} of {path} has type {y.dtype}; labels are numbers, booleans or texts."
        )
    return y
