"""Reading of data files and image folders. The file extension decides the format."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from nbam_pyro.cli.files.image_folder import read_image_folder
from nbam_pyro.cli.files.labels import Spelling
from nbam_pyro.cli.files.messages import listing, problem
from nbam_pyro.cli.files.npz import read_npz
from nbam_pyro.cli.files.source import Source
from nbam_pyro.cli.files.tables import read_csv, read_parquet

__all__ = ["Source", "read"]

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
    """Read features and labels from a CSV, Parquet or NPZ file or a folder of images.

    Args:
        path: Path of a file that ends in .csv, .parquet, .pq or .npz (upper or lower case), or of a
            folder that contains one folder of images per class.
        label: Name of the column or array that holds the labels; None for a folder, where the names
            of the class folders are the labels.
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
        raise problem(f"'{path}' cannot be read: {error.strerror or error}.") from error


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
    if not path.exists():
        raise problem(f"'{path}' does not exist. Check the path.")
    if path.is_dir():
        if label is not None:
            raise problem(
                f"'{path}' is a folder, and the names of its class folders are the labels. "
                f"Leave out the label {label!r}."
            )
        if beside and not optional:
            raise problem(
                f"'{path}' is a folder and has no column {listing(beside)}. Leave this name out."
            )
        return read_image_folder(path, labelled=labelled)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise problem(
            f"The ending {path.suffix!r} of '{path}' is not known. Give a file that ends in "
            f"{', '.join(READERS)}, or a folder that contains one folder of images per class."
        )
    if not path.is_file():
        raise problem(f"'{path}' is neither a file nor a folder. Copy the data into a file.")
    if path.stat().st_size == 0:
        raise problem(f"'{path}' is empty. Check that it was written.")
    if label is None and labelled:
        raise problem(
            f"'{path}' needs a label column, but none is given. Name the column or array that "
            "holds the labels (--label NAME)."
        )
    source = reader(
        path,
        label=label,
        beside=beside,
        optional=optional,
        features=features,
        spelling=spelling,
    )
    with path.open("rb") as file:
        return replace(source, sha256=hashlib.file_digest(file, "sha256").hexdigest())
