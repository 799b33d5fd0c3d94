"""Folders that are written over a long time: what is finished stays after an interruption.

The hidden folder beside the target then keeps a folder `progress` with the results so far. The same
command goes on in it. Every other command that writes the target is refused.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from nbam_pyro.errors import FolderError, NBAMError
from nbam_pyro.storage.schema import Saved, read_json, write_json
from nbam_pyro.storage.workspace import Workspace, cannot_be_written, workspace
from nbam_pyro.storage.writing import check_folder, resolved

__all__ = ["Command", "resumable_folder"]

# File beside the results with the command that writes them.
_COMMAND = "command.json"


@dataclass(frozen=True)
class Command:
    """A command whose progress is kept.

    Attributes:
        said: The command as a person types it.
        settings: Everything that the result depends on, as JSON values.
    """

    said: str
    settings: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """Hash of the settings."""
        return hashlib.sha256(json.dumps(self.settings, sort_keys=True).encode()).hexdigest()


class _Saved(Saved):
    """Schema of command.json."""

    said: Annotated[str, Field(max_length=100_000)]
    settings_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


@contextmanager
def resumable_folder(
    folder: Path, command: Command, *, overwrite: bool, restart: bool
) -> Iterator[Path]:
    """Return a folder for results, and move it to its place if the block ends without an error.

    If the process is killed or another error than an `NBAMError` occurs, the folder of results
    stays, and the next call with the same command returns it with its files. The caller writes each
    file under another name first and renames it, so that a file is whole or not there. It writes
    the manifest last.

    Args:
        folder: Folder to write. Its parent folders are created if they do not exist.
        command: Command that writes the folder.
        overwrite: Whether a folder that exists and that this library has written is replaced. It
            does not change until the new one is whole.
        restart: Whether unfinished results, of this or another command, are thrown away.

    Raises:
        FolderError: The folder exists and may not be replaced, it has unfinished results of another
            command, another process writes it, or the file system does not allow it.
    """
    folder = resolved(folder)
    check_folder(folder, overwrite=overwrite)
    with workspace(folder, resumes=True) as space:
        check_folder(folder, overwrite=overwrite)
        try:
            _begin(space, command, restart=restart)
        except OSError as error:
            raise cannot_be_written(folder, error) from error
        try:
            yield space.results
        except NBAMError:
            shutil.rmtree(space.progress, ignore_errors=True)
            raise
        check_folder(folder, overwrite=overwrite)
        space.publish(space.results)


def _begin(space: Workspace, command: Command, *, restart: bool) -> None:
    """Create the folder of progress, or check that it is that of the command."""
    if restart:
        shutil.rmtree(space.progress, ignore_errors=True)
    path = space.progress / _COMMAND
    if not space.results.exists():
        shutil.rmtree(space.progress, ignore_errors=True)
        space.progress.mkdir()
        write_json(path, {"said": command.said, "settings_sha256": command.digest}, _Saved)
        space.results.mkdir()
        return
    before = read_json(path, _Saved)
    if before.settings_sha256 == command.digest:
        return
    why = (
        "the data, the run or the library have changed since then"
        if before.said == command.said
        else f"that command was: {before.said}"
    )
    raise FolderError(
        f"'{space.target}' has unfinished results of an earlier command, and {why}. Start that "
        "command again to finish them, or add --restart to throw them away."
    )
