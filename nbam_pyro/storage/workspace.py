"""What a run keeps beside the folder or file that it writes: one hidden folder with one lock.

Beside RUN this is `.RUN.nbam`, with the files `lock`, `draft` (what is being written) and `before`
(what is being replaced). The lock belongs to the process and not to the file: the kernel releases
it when the process ends, however it ends.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from nbam_pyro.errors import FolderError

__all__ = ["Workspace", "workspace"]

_LOCK = "lock"
_DRAFT = "draft"
_BEFORE = "before"


@dataclass(frozen=True)
class Workspace:
    """The hidden folder beside what is written.

    Attributes:
        target: Folder or file that is written in the end.
        folder: Hidden folder beside it.
    """

    target: Path
    folder: Path

    @property
    def draft(self) -> Path:
        """Path of what is being written."""
        return self.folder / _DRAFT

    @property
    def before(self) -> Path:
        """Path of what is being replaced."""
        return self.folder / _BEFORE

    def publish(self) -> None:
        """Put the draft in its place. What was there stays until the draft has replaced it.

        Raises:
            FolderError: The file system refuses.
        """
        try:
            if self.target.is_dir():
                self.target.rename(self.before)
            self.draft.replace(self.target)
        except OSError as error:
            raise cannot_be_written(self.target, error) from error

    def clear(self) -> None:
        """Remove the draft, and put back what an interrupted run was about to replace."""
        if self.before.exists() and not self.target.exists():
            self.before.rename(self.target)
        for path in (self.draft, self.before):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


@contextmanager
def workspace(target: Path) -> Iterator[Workspace]:
    """The hidden folder beside a target, for as long as nobody else writes the target.

    Whatever a killed process has left there is removed first, and nothing is left at the end.
    Folders above the target are made, and removed again if the target was not written.

    Args:
        target: Folder or file that will be written; an absolute path without links.

    Raises:
        FolderError: Another process writes the target, the hidden folder holds a file of somebody
            else, or the file system refuses.
    """
    space = Workspace(target, target.with_name(f".{target.name}.nbam"))
    made = [parent for parent in target.parents if not parent.exists()]
    try:
        handle = _locked(space)
    except FolderError:
        raise
    except OSError as error:
        raise cannot_be_written(target, error) from error
    try:
        _check_names(space.folder)
        space.clear()
        yield space
    finally:
        space.clear()
        # Only the lock is left. Another process may take it from here on: its folder stays.
        (space.folder / _LOCK).unlink(missing_ok=True)
        with suppress(OSError):
            space.folder.rmdir()
            if not target.exists():
                for parent in made:
                    parent.rmdir()
        os.close(handle)


def cannot_be_written(target: Path, error: OSError) -> FolderError:
    """The error for a file system that refuses."""
    return FolderError(f"{target} cannot be written: {error.strerror or error}.")


def _locked(space: Workspace) -> int:
    """An open lock file that this process holds; the file is still the one at its path."""
    path = space.folder / _LOCK
    if space.folder.is_symlink():
        raise FolderError(f"{space.folder} is a link, which no run has made, and in the way.")
    while True:
        try:
            space.folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        except (FileExistsError, FileNotFoundError):
            if space.folder.is_file():
                raise FolderError(f"{space.folder} is a file, and in the way: move it.") from None
            continue  # its last owner removed the folder at this moment
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(handle)
            raise FolderError(
                f"{space.target} is being written by another process: wait until it has finished, "
                "or choose another name."
            ) from error
        except OSError:
            os.close(handle)
            raise
        if _same(handle, path):
            return handle
        os.close(handle)  # its last owner removed the file before we locked it


def _same(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.lstat())
    except FileNotFoundError:
        return False


def _check_names(folder: Path) -> None:
    others = sorted({path.name for path in folder.iterdir()} - {_LOCK, _DRAFT, _BEFORE})
    if others:
        raise FolderError(
            f"{folder / others[0]} was written by no run, and the folder is in the way: move it."
        )
