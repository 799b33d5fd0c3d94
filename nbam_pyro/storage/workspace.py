"""A hidden folder beside the folder or file that a run writes, with a lock and a draft.

The hidden folder of RUN is `.RUN.nbam`. It has the entries `lock`, `draft` (the new version),
`before` (the old version, while it is being replaced) and `progress` (unfinished results of a
command that can go on later). The lock belongs to the process. The operating system releases it
when the process ends, even if the process was killed.
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
_PROGRESS = "progress"
_RESULTS = "results"


@dataclass(frozen=True)
class Workspace:
    """A hidden folder beside a target that is being written.

    Attributes:
        target: Folder or file to write.
        folder: Hidden folder beside the target.
    """

    target: Path
    folder: Path

    @property
    def draft(self) -> Path:
        """Path of the new version of the target."""
        return self.folder / _DRAFT

    @property
    def before(self) -> Path:
        """Path of the old version of the target, while it is being replaced."""
        return self.folder / _BEFORE

    @property
    def progress(self) -> Path:
        """Path of a folder that stays after an interruption."""
        return self.folder / _PROGRESS

    @property
    def results(self) -> Path:
        """Path of the unfinished results in this folder. Without them, it is of no use."""
        return self.progress / _RESULTS

    def publish(self, new: Path | None = None) -> None:
        """Move the draft to the target. An old version of the target is kept until it is replaced.

        Args:
            new: Path of the new version; None for the draft.

        Raises:
            FolderError: The file system does not allow it.
        """
        try:
            if self.target.is_dir():
                self.target.rename(self.before)
            (new or self.draft).replace(self.target)
        except OSError as error:
            raise cannot_be_written(self.target, error) from error

    def clear(self) -> None:
        """Remove the draft, and restore an old version that an interrupted run had moved away."""
        if self.before.exists() and not self.target.exists():
            self.before.rename(self.target)
        if not self.results.exists():
            shutil.rmtree(self.progress, ignore_errors=True)
        for path in (self.draft, self.before):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


@contextmanager
def workspace(target: Path, *, resumes: bool = False) -> Iterator[Workspace]:
    """Lock a target, and return a hidden folder beside it that exists inside the block.

    Files that a killed process has left in the hidden folder are removed first. At the end the
    hidden folder is removed. Parent folders of the target are created, and removed again if the
    target was not written.

    Args:
        target: Folder or file that will be written; an absolute path without symbolic links.
        resumes: Whether the caller goes on with unfinished results, which otherwise stop it.

    Raises:
        FolderError: Another process writes the target, there are unfinished results, the hidden
            folder has a file that this library did not write, or the file system does not allow it.
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
        if space.results.exists() and not resumes:
            raise FolderError(
                f"'{target}' has unfinished results of another command in '{space.progress}'. "
                "Start that command again to finish them, or delete this folder to throw them away."
            )
        space.clear()
        yield space
    finally:
        space.clear()
        # From here on another process may take the lock. Then its folder is not empty and stays.
        (space.folder / _LOCK).unlink(missing_ok=True)
        with suppress(OSError):
            space.folder.rmdir()
            if not target.exists():
                for parent in made:
                    parent.rmdir()
        os.close(handle)


def cannot_be_written(target: Path, error: OSError) -> FolderError:
    """Return the error for a target that the file system does not allow to write."""
    return FolderError(
        f"'{target}' cannot be written ({error.strerror or error}). Check permissions and free "
        "space, or choose another place."
    )


def _locked(space: Workspace) -> int:
    """Return the handle of an open lock file that this process has locked."""
    path = space.folder / _LOCK
    if space.folder.is_symlink():
        raise FolderError(
            f"'{space.folder}' must be a folder, but it is a symbolic link of another program. "
            "Move it."
        )
    while True:
        try:
            space.folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        except (FileExistsError, FileNotFoundError):
            if space.folder.is_file():
                raise FolderError(
                    f"'{space.folder}' must be a folder, but it is a file. Move it."
                ) from None
            continue  # another process has just removed the folder
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(handle)
            raise FolderError(
                f"'{space.target}' is being written by another process. Wait until it has "
                "finished, or choose another name."
            ) from error
        except OSError:
            os.close(handle)
            raise
        if _same(handle, path):
            return handle
        os.close(handle)  # another process removed the file before it was locked here


def _same(handle: int, path: Path) -> bool:
    """Return whether an open file is still the file at its path."""
    try:
        return os.path.samestat(os.fstat(handle), path.lstat())
    except FileNotFoundError:
        return False


def _check_names(folder: Path) -> None:
    """Raise a `FolderError` if a hidden folder has entries that this library does not create."""
    others = sorted({path.name for path in folder.iterdir()} - {_LOCK, _DRAFT, _BEFORE, _PROGRESS})
    if others:
        raise FolderError(
            f"'{folder}' has '{others[0]}', which this library did not write. Move this file or "
            "folder."
        )
