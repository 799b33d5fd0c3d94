"""Folders and files that are written whole or not at all, and replace only what may be replaced."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nbam_pyro.errors import FolderError
from nbam_pyro.storage.manifest import check_replaceable
from nbam_pyro.storage.workspace import cannot_be_written, workspace

__all__ = ["check_file", "check_folder", "new_file", "new_folder"]


def check_folder(folder: Path, *, overwrite: bool) -> None:
    """Refuse a run folder that exists, before any work is done.

    Args:
        folder: Run folder that will be written.
        overwrite: Whether a run folder that exists may be replaced. It may hold nothing but what
            the run wrote.

    Raises:
        FolderError: The folder exists and may not be replaced.
    """
    folder = _resolved(folder)
    if not folder.exists():
        return
    if not overwrite:
        raise FolderError(
            f"{folder} exists already: choose another folder, or overwrite it (--overwrite, "
            "overwrite=True)."
        )
    if not folder.is_dir():
        raise FolderError(f"{folder} is not a run folder, so it is not overwritten.")
    if any(folder.iterdir()):
        check_replaceable(folder)


def check_file(out: Path, *, overwrite: bool) -> None:
    """Refuse a file that exists, before any work is done.

    Args:
        out: File that will be written.
        overwrite: Whether a file that exists may be replaced.

    Raises:
        FolderError: The file exists and may not be replaced, or it is a folder, a device or a pipe.
    """
    out = _resolved(out)
    if out.is_dir():
        raise FolderError(f"{out} is a folder: --out names the CSV file to write.")
    if out.exists() and not out.is_file():
        raise FolderError(f"{out} is a device or a pipe: --out names the CSV file to write.")
    if out.exists() and not overwrite:
        raise FolderError(f"{out} exists already: choose another --out or pass --overwrite.")


@contextmanager
def new_folder(folder: Path, *, overwrite: bool) -> Iterator[Path]:
    """A draft of a run folder, which takes the folder's place if the block ends without an error.

    Args:
        folder: Run folder to write; folders above it are made.
        overwrite: Whether a run folder that exists is replaced. It stays as it is until the new
            one is whole.

    Returns:
        The path of the draft, an empty folder. The caller writes the manifest last.

    Raises:
        FolderError: The folder exists and may not be replaced, another process writes it, or the
            file system refuses.
    """
    folder = _resolved(folder)
    check_folder(folder, overwrite=overwrite)
    with workspace(folder) as space:
        check_folder(folder, overwrite=overwrite)  # what an interrupted run has moved is back
        try:
            space.draft.mkdir()
        except OSError as error:
            raise cannot_be_written(folder, error) from error
        yield space.draft
        check_folder(folder, overwrite=overwrite)  # something may have been put there meanwhile
        space.publish()


@contextmanager
def new_file(out: Path, *, overwrite: bool) -> Iterator[Path]:
    """A draft of a file, which takes the file's place if the block ends without an error.

    Args:
        out: File to write; folders above it are made.
        overwrite: Whether a file that exists is replaced.

    Returns:
        The path of the draft, where there is no file yet.

    Raises:
        FolderError: The file exists and may not be replaced, another process writes it, or the
            file system refuses.
    """
    out = _resolved(out)
    check_file(out, overwrite=overwrite)
    with workspace(out) as space:
        yield space.draft
        check_file(out, overwrite=overwrite)
        space.publish()


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a NUL character
        raise FolderError(f"{path} is no path that can be written: {error}.") from error
