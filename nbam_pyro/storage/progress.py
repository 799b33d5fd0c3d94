"""Progress of an interrupted command, which the same command continues."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbam_pyro.errors import FolderError
from nbam_pyro.storage.workspace import Workspace, cannot_be_written

__all__ = ["Command", "Progress", "check_unfinished", "write_command"]

_FILE = "command.json"


@dataclass(frozen=True)
class Command:
    """A command that continues after an interruption.

    Attributes:
        words: Words of the command, without its output.
        settings: Everything that its result depends on, as JSON can write it.
    """

    words: Sequence[str]
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Progress:
    """Folders of a command that continues after an interruption.

    Attributes:
        draft: New version of the run folder, an empty folder.
        folder: Folder for the progress.
        continued: Whether the same command was interrupted before.
    """

    draft: Path
    folder: Path
    continued: bool


def check_unfinished(space: Workspace, command: Command | None = None) -> bool:
    """Return whether a command was interrupted that `command` continues.

    Args:
        space: Workspace of the target.
        command: Command that writes the target now; None if it continues no command.

    Raises:
        FolderError: Another command was interrupted, or its description cannot be read.
    """
    path = space.progress / _FILE
    if not path.exists():
        space.forget()  # a command that was killed before it had finished anything
        return False
    try:
        before = json.loads(path.read_text())
        words, settings = before["words"], before["settings"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FolderError(
            f"'{path}' cannot be read ({error}). Remove the folder '{space.progress}', or pass "
            "--restart."
        ) from error
    if command is not None and settings == _plain(command.settings):
        return True
    if command is not None and words == list(command.words):
        raise FolderError(
            f"'{space.target}' is not finished, and its data, its options or the library have "
            f"changed since {shlex.join(words)} was interrupted. Pass --restart to begin again."
        )
    raise FolderError(
        f"'{space.target}' is not finished: another command was interrupted, {shlex.join(words)}. "
        "Run it again to continue it. To throw its work away, pass --restart to nbam fit, detect "
        f"or score, or remove '{space.progress}'."
    )


def write_command(space: Workspace, command: Command) -> None:
    """Create the folder for the progress and write down which command it belongs to.

    Args:
        space: Workspace of the target.
        command: Command that writes the target.

    Raises:
        FolderError: The file system does not allow it.
    """
    draft = space.progress / f"{_FILE}.draft"
    try:
        space.progress.mkdir(exist_ok=True)
        text = json.dumps({"words": list(command.words), "settings": _plain(command.settings)})
        draft.write_text(text)
        draft.replace(space.progress / _FILE)
    except OSError as error:
        raise cannot_be_written(space.target, error) from error


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings as they are after they were written and read."""
    plain: dict[str, Any] = json.loads(json.dumps(settings))
    return plain
