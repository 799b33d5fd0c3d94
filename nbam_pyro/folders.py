"""Run folders are written whole or not at all."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nbam_pyro.errors import FolderError

__all__ = ["check_folder", "new_folder"]


def check_folder(folder: Path, *, overwrite: bool) -> None:
    """Refuse a run folder that exists, before any work is done.

    Raises:
        FolderError: it exists and may not be overwritten, or it is no folder that a run wrote.
    """
    if not folder.exists():
        return
    if not overwrite:
        raise FolderError(f"{folder} exists already: choose another --out or pass --overwrite.")
    if not folder.is_dir() or (any(folder.iterdir()) and not (folder / "model.json").exists()):
        raise FolderError(f"{folder} is not a run folder, so it is not overwritten.")


@contextmanager
def new_folder(folder: Path, *, overwrite: bool) -> Iterator[Path]:
    """A temporary folder beside the final one, moved there if all goes well, else removed."""
    check_folder(folder, overwrite=overwrite)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise FolderError(f"{folder} cannot be written: {error}.") from error
    try:
        yield draft
        if folder.exists():
            shutil.rmtree(folder)
        draft.chmod(0o755)
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
