"""Writing of run folders and files, without partial results and without loss of other files."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nbam_pyro.errors import FolderError
from nbam_pyro.storage.manifest import check_replaceable
from nbam_pyro.storage.workspace import cannot_be_written, workspace

__all__ = ["check_file", "check_folder", "new_file", "new_folder", "resolved"]


def check_folder(folder: Path, *, overwrite: bool) -> None:
    """Raise an error if a run folder must not be written. Call this before the work starts.

    Args:
        folder: Run folder that will be written.
        overwrite: Whether a run folder that exists may be replaced. It is replaced only if none of
            its files was changed after the run.

    Raises:
        FolderError: The folder exists and may not be replaced.
    """
    folder = resolved(folder)
    if not folder.exists():
        return
    if not overwrite:
        raise FolderError(
            f"'{folder}' exists already. Choose another folder, or overwrite it (--overwrite, "
            "overwrite=True)."
        )
    if not folder.is_dir():
        raise FolderError(
            f"'{folder}' is not overwritten: it is not a run folder. Choose another name."
        )
    if any(folder.iterdir()):
        check_replaceable(folder)


def check_file(out: Path, *, overwrite: bool) -> None:
    """Raise an error if a file must not be written. Call this function before the work starts.

    Args:
        out: File that will be written.
        overwrite: Whether a file that exists may be replaced.

    Raises:
        FolderError: The file exists and may not be replaced, or it is a folder, a device or a pipe.
    """
    out = resolved(out)
    if out.is_dir():
        raise FolderError(f"'{out}' is a folder. Give the name of the CSV file to write as --out.")
    if out.exists() and not out.is_file():
        raise FolderError(
            f"'{out}' is a device or a pipe. Give the name of the CSV file to write as --out."
        )
    if out.exists() and not overwrite:
        raise FolderError(f"'{out}' exists already. Choose another --out, or pass --overwrite.")


@contextmanager
def new_folder(folder: Path, *, overwrite: bool) -> Iterator[Path]:
    """Create a draft of a run folder, and move it to its place if the block ends without an error.

    Args:
        folder: Run folder to write. Its parent folders are created if they do not exist.
        overwrite: Whether a run folder that exists is replaced. It does not change until the draft
            is complete.

    Returns:
        The path of the draft, an empty folder. The caller writes the manifest last.

    Raises:
        FolderError: The folder exists and may not be replaced, another process writes it, or the
            file system does not allow it.
    """
    folder = resolved(folder)
    check_folder(folder, overwrite=overwrite)
    with workspace(folder) as space:
        # A folder that an interrupted run moved away is back, so this is checked again.
        check_folder(folder, overwrite=overwrite)
        try:
            space.draft.mkdir()
        except OSError as error:
            raise cannot_be_written(folder, error) from error
        yield space.draft
        check_folder(folder, overwrite=overwrite)  # something may have been written there meanwhile
        space.publish()


@contextmanager
def new_file(out: Path, *, overwrite: bool) -> Iterator[Path]:
    """Create a draft of a file, and move it to its place if the block ends without an error.

    Args:
        out: File to write. Its parent folders are created if they do not exist.
        overwrite: Whether a file that exists is replaced.

    Returns:
        The path of the draft. The caller creates the file.

    Raises:
        FolderError: The file exists and may not be replaced, another process writes it, or the
            file system does not allow it.
    """
    out = resolved(out)
    check_file(out, overwrite=overwrite)
    with workspace(out) as space:
        yield space.draft
        check_file(out, overwrite=overwrite)
        space.publish()


def resolved(path: Path) -> Path:
    """Return an absolute path without symbolic links.

    Args:
        path: Path that will be written.

    Raises:
        FolderError: The path cannot exist.
    """
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a NUL character
        raise FolderError(
            f"'{path}' is not a path that can be written ({error}). Choose another one."
        ) from error
