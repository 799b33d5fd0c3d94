"""Run folders are written whole or not at all, and read only if they are as they were written."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nbam_pyro.errors import FolderError

__all__ = [
    "check_file",
    "check_files",
    "check_folder",
    "new_folder",
    "read_json",
    "write_json",
    "write_manifest",
]

_MANIFEST = "manifest.json"


def check_folder(folder: Path, *, overwrite: bool) -> None:
    """Refuse a run folder that exists, before any work is done.

    Raises:
        FolderError: it exists and may not be overwritten, or it is no folder that a run wrote.
    """
    if not folder.exists():
        return
    if not overwrite:
        raise FolderError(
            f"{folder} exists already: choose another folder, or overwrite it (--overwrite, "
            "overwrite=True)."
        )
    if not folder.is_dir() or (any(folder.iterdir()) and not (folder / _MANIFEST).exists()):
        raise FolderError(f"{folder} is not a run folder, so it is not overwritten.")


def check_file(out: Path, *, overwrite: bool) -> None:
    """Refuse a file that exists, before any work is done.

    Raises:
        FolderError: it exists and may not be overwritten, or is a folder.
    """
    if out.is_dir():
        raise FolderError(f"{out} is a folder: --out names the CSV file to write.")
    if out.exists() and not overwrite:
        raise FolderError(f"{out} exists already: choose another --out or pass --overwrite.")


@contextmanager
def new_folder(folder: Path, *, overwrite: bool) -> Iterator[Path]:
    """A temporary folder beside the final one, moved there if all goes well, else removed."""
    folder = folder.resolve()
    check_folder(folder, overwrite=overwrite)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise FolderError(f"{folder} cannot be written: {error}.") from error
    try:
        yield draft
        draft.chmod(0o755)
        check_folder(folder, overwrite=overwrite)  # another run may have been quicker
        aside = draft.with_name(f"{draft.name}-before")
        if folder.exists():
            folder.rename(aside)
        draft.rename(folder)
        shutil.rmtree(aside, ignore_errors=True)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def write_manifest(folder: Path) -> None:
    """Write the checksums of all files of a folder; the last thing a run does."""
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    write_json(folder / _MANIFEST, {"sha256": {name: _digest(folder / name) for name in names}})


def check_files(folder: Path, needed: Iterable[str] = ()) -> None:
    """Compare the files of a run folder with its manifest.

    Args:
        folder: a run folder.
        needed: files that must be among them.

    Raises:
        FolderError: the folder is none that a run wrote, or a file is missing or was changed.
    """
    if not (folder / _MANIFEST).is_file():
        raise FolderError(f"{folder} is not a run folder: it has no {_MANIFEST}.")
    digests = read_json(folder / _MANIFEST).get("sha256")
    if not isinstance(digests, dict):
        raise FolderError(f"{folder / _MANIFEST} was changed: it lists no checksums. Fit again.")
    for name in {**dict.fromkeys(needed), **digests}:
        if not (folder / name).is_file():
            raise FolderError(
                f"{folder} is incomplete: {name} is missing. Restore it or fit again."
            )
        if digests.get(name) != _digest(folder / name):
            raise FolderError(
                f"{folder / name} was changed after the run was written. Restore it or fit again "
                "(edit copies of these files)."
            )


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file of a run folder.

    Raises:
        FolderError: it is not a JSON object.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FolderError(f"{path} cannot be read as JSON: {error}.") from error
    if not isinstance(values, dict):
        raise FolderError(f"{path} holds no JSON object. Restore it or fit again.")
    return values


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write a JSON file of a run folder."""
    path.write_text(json.dumps(values, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
