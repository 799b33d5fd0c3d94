"""Writing of run folders and files, without partial results and without loss of other files."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nbam_pyro.errors import FolderError, NBAMError
from nbam_pyro.storage.manifest import check_replaceable
from nbam_pyro.storage.progress import Command, Progress, check_unfinished, write_command
from nbam_pyro.storage.workspace import Workspace, cannot_be_written, workspace

__all__ = ["check_file", "check_folder", "continued_folder", "new_file", "new_folder"]


def check_folder(folder: Path, *, overwrite: bool) -> None:
    """Raise an error if a run folder must not be written. Call this before the work starts.

    Args:
        folder: Run folder that will be written.
        overwrite: Whether a run folder that exists may be replaced. It is replaced only if none of
            its files was changed after the run.

    Raises:
        FolderError: The folder exists and may not be replaced.
    """
    folder = _resolved(folder)
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
    out = _resolved(out)
    if out.is_dir():
        raise FolderError(f"'{out}' is a folder. Give the name of the CSV file to write as --out.")
    if out.exists() and not out.is_file():
        raise FolderError(
            f"'{out}' is a device or a pipe. Give the name of the CSV file to write as --out."
        )
    if out.exists() and not overwrite:
        raise FolderError(f"'{out}' exists already. Choose another --out, or pass --overwrite.")


@contextmanager
def new_folder(folder: Path, *, overwrite: bool, restart: bool = False) -> Iterator[Path]:
    """Create a draft of a run folder, and move it to its place if the block ends without an error.

    Args:
        folder: Run folder to write. Its parent folders are created if they do not exist.
        overwrite: Whether a run folder that exists is replaced. It does not change until the draft
            is complete.
        restart: Whether to throw away the progress of an interrupted command first.

    Returns:
        The path of the draft, an empty folder. The caller writes the manifest last.

    Raises:
        FolderError: The folder exists and may not be replaced, another process writes it, an
            interrupted command waits to be continued, or the file system does not allow it.
    """
    folder = _resolved(folder)
    check_folder(folder, overwrite=overwrite)
    with workspace(folder) as space:
        if restart:
            space.forget()
        check_unfinished(space)
        with _draft_of(space, overwrite=overwrite) as draft:
            yield draft


@contextmanager
def continued_folder(
    folder: Path, *, overwrite: bool, command: Command, restart: bool
) -> Iterator[Progress]:
    """Create a draft as `new_folder` does, for a command that continues after an interruption.

    If the block ends without an error, nothing of the progress is left. It also goes if the block
    ends with an error of the library, because that would occur again. In all other cases it stays,
    and the same command finds it.

    Args:
        folder: Run folder to write. Its parent folders are created if they do not exist.
        overwrite: Whether a run folder that exists is replaced.
        command: Command that writes the folder.
        restart: Whether to throw away the progress of an interrupted command first.

    Returns:
        The draft and the folder for the progress.

    Raises:
        FolderError: As for `new_folder`; or the progress is that of another command.
    """
    folder = _resolved(folder)
    check_folder(folder, overwrite=overwrite)
    with workspace(folder) as space:
        if restart:
            space.forget()
        continued = check_unfinished(space, command)
        try:
            with _draft_of(space, overwrite=overwrite) as draft:
                write_command(space, command)
                yield Progress(draft, space.progress, continued)
        except NBAMError:
            space.forget()
            raise
        space.forget()


@contextmanager
def _draft_of(space: Workspace, *, overwrite: bool) -> Iterator[Path]:
    # A folder that an interrupted run moved away is back, so this is checked again.
    check_folder(space.target, overwrite=overwrite)
    try:
        space.draft.mkdir()
    except OSError as error:
        raise cannot_be_written(space.target, error) from error
    yield space.draft
    check_folder(space.target, overwrite=overwrite)  # something may have been written there
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
    out = _resolved(out)
    check_file(out, overwrite=overwrite)
    with workspace(out) as space:
        check_unfinished(space)
        yield space.draft
        check_file(out, overwrite=overwrite)
        space.publish()


def _resolved(path: Path) -> Path:
    """Return an absolute path without symbolic links."""
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a NUL character
        raise FolderError(
            f"'{path}' is not a path that can be written ({error}). Choose another one."
        ) from error
