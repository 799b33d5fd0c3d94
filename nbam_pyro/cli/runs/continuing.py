"""Folders of commands that continue after an interruption."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nbam_pyro.cli.stopping import Stopped
from nbam_pyro.storage import Command, Progress, continued_folder

__all__ = ["continuing"]


@contextmanager
def continuing(
    out: Path,
    command: Command,
    *,
    overwrite: bool,
    restart: bool,
    say: Callable[[str], None],
) -> Iterator[Progress]:
    """Create the draft of a folder, and say how an interrupted command continues.

    Args:
        out: Folder to write.
        command: Command that writes the folder.
        overwrite: True to replace an existing folder.
        restart: True to throw away the progress of an interrupted command.
        say: Function that is called with each message about the progress.

    Returns:
        The folders for the draft and for the progress.

    Raises:
        FolderError: The folder exists and `overwrite` is False, it cannot be written, or another
            command was interrupted that would have written it.
    """
    with continued_folder(out, overwrite=overwrite, command=command, restart=restart) as progress:
        if progress.continued:
            say("Continuing the command that was interrupted ...")
        try:
            yield progress
        except Stopped:
            say("The same command continues here; with --restart it begins again.")
            raise
