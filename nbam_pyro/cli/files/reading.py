"""Opening a data file or folder by what its name ends with."""

from collections.abc import Sequence
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
    spelling: Spelling = "auto",
) -> Source:
    """Read features and labels from a CSV, Parquet or NPZ file or a folder of images.

    Args:
        path: A file ending in .csv, .parquet, .pq or .npz (in any case), or a folder with one
            folder of images per class.
        label: The name of the column or array that holds the labels; None for a folder, where the
            class folders' names are the labels.
        beside: Names of columns or arrays that are neither features nor labels.
        optional: Ignore names in `beside` that the data do not contain.
        labelled: Whether a table or an archive needs a label; without one every label is missing.
        spelling: How labels that are written as texts are taken, as in CSV all of them are. With
            "auto" they are numbers if every one of them is a number without a leading zero, with
            "numbers" if they can be read so, with "texts" never.

    Returns:
        The rows, not yet encoded.

    Raises:
        DataError: The data cannot be read as what they claim to be, or have no such columns.
    """
    try:
        return _read(
            path,
            label=label,
            beside=beside,
            optional=optional,
            labelled=labelled,
            spelling=spelling,
        )
    except OSError as error:
        raise problem(f"{path} cannot be read: {error.strerror or error}.") from error


def _read(
    path: Path,
    *,
    label: str | None,
    beside: Sequence[str],
    optional: bool,
    labelled: bool,
    spelling: Spelling,
) -> Source:
    if not path.exists():
        raise problem(f"{path} does not exist; check the path.")
    if path.is_dir():
        if label is not None:
            raise problem(
                f"{path} is a folder, whose labels are the names of its class folders; "
                f"leave out the label {label!r}."
            )
        if beside and not optional:
            raise problem(f"{path} is a folder, which has no {listing(beside)}; leave that out.")
        return read_image_folder(path)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise problem(
            f"The ending {path.suffix!r} of {path} is not known; give a file ending in "
            f"{', '.join(READERS)}, or a folder of class folders with images."
        )
    if not path.is_file():
        raise problem(f"{path} is neither a file nor a folder; copy the data into a file.")
    if path.stat().st_size == 0:
        raise problem(f"{path} is empty; check that it was written.")
    if label is None and labelled:
        raise problem(
            f"{path} needs a label: name the column or array that holds the labels (--label NAME)."
        )
    return reader(path, label=label, beside=beside, optional=optional, spelling=spelling)
