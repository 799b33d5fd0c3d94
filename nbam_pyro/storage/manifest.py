"""Manifest of a run folder: the name of this library, and the checksum of every file."""

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from nbam_pyro.errors import FolderError
from nbam_pyro.storage.schema import Saved, read_json, write_json

__all__ = ["check_files", "check_replaceable", "write_manifest"]

_MANIFEST = "manifest.json"
# Name in folders of Parquet files, whose readers pass over names that begin with an underscore.
_HIDDEN = "_manifest.json"
_PART = re.compile(r"[^/\\\x00-\x1f\x7f]{1,255}")


def _inside(name: str) -> str:
    """Return the name if it names a file inside the folder, and raise an error otherwise."""
    parts = name.split("/")
    if not all(_PART.fullmatch(part) and part not in (".", "..") for part in parts):
        raise ValueError("not the name of a file inside the folder")
    return name


_Name = Annotated[str, AfterValidator(_inside), Field(max_length=1000)]
_Checksum = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _Manifest(Saved):
    """Schema of manifest.json."""

    written_by: Literal["nbam_pyro"] | None = None
    sha256: Annotated[dict[_Name, _Checksum], Field(max_length=100_000)]


def write_manifest(folder: Path, *, hidden: bool = False) -> None:
    """Write the manifest of a folder, with the checksums of all its files.

    This is the last step of writing a folder.

    Args:
        folder: Folder whose other files are already there.
        hidden: Whether readers of Parquet files must pass over the manifest.
    """
    own = _HIDDEN if hidden else _MANIFEST
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    digests = {name: _digest(folder / name) for name in names if name != own}
    write_json(folder / own, {"written_by": "nbam_pyro", "sha256": digests}, _Manifest)


def check_files(folder: Path, needed: Iterable[str] = ()) -> None:
    """Compare the files of a run folder with its manifest.

    Args:
        folder: Run folder.
        needed: Names of files that must be in the manifest.

    Raises:
        FolderError: The folder is not a run folder, or a file is missing, was changed, or is a
            symbolic link.
    """
    manifest = _manifest(folder)
    for name in {**dict.fromkeys(needed), **manifest.sha256}:
        if name not in manifest.sha256 or not _is_there(folder, name):
            raise FolderError(
                f"'{folder}' is incomplete: {name} is missing, or is not a regular file. Restore "
                "it or fit again."
            )
        if manifest.sha256[name] != _digest(folder / name):
            raise FolderError(
                f"'{folder / name}' was changed after the run was written. Restore it or fit "
                "again, and edit only copies of such files."
            )


def check_replaceable(folder: Path) -> None:
    """Raise an error if a folder has files that a run of this library did not write.

    Such a folder must not be replaced, because other data would be lost.

    Args:
        folder: Folder that is not empty.

    Raises:
        FolderError: The folder has no manifest of this library, or it has a file that is not in the
            manifest or was changed after the run.
    """
    try:
        manifest = _manifest(folder)
    except FolderError as error:
        raise FolderError(f"'{folder}' is not overwritten: {error}") from error
    if manifest.written_by is None:
        raise FolderError(
            f"'{folder}' is not overwritten: its {_MANIFEST} does not state that this library "
            "wrote the folder. Choose another folder."
        )
    own = _path(folder).name
    above = {parent.as_posix() for name in manifest.sha256 for parent in Path(name).parents}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if name == own or (name in above and path.is_dir() and not path.is_symlink()):
            continue
        if name not in manifest.sha256 or not _is_there(folder, name):
            raise FolderError(
                f"'{folder}' is not overwritten: it has '{name}', which this library did not "
                "write. Move that file, or choose another folder."
            )
        if manifest.sha256[name] != _digest(path):
            raise FolderError(
                f"'{folder}' is not overwritten: '{name}' was changed after the run was written. "
                "Move the folder, or choose another one."
            )


def _manifest(folder: Path) -> _Manifest:
    """Read the manifest of a folder."""
    path = _path(folder)
    if not path.is_file():
        raise FolderError(
            f"'{folder}' is not a run folder: it has no file {_MANIFEST}. Give a folder that this "
            "library wrote."
        )
    try:
        return read_json(path, _Manifest)
    except FolderError as error:
        raise FolderError(
            f"'{folder}' is not a run folder that this version of the library can read. {error}"
        ) from error


def _path(folder: Path) -> Path:
    """Return the path of the manifest of a folder."""
    hidden = folder / _HIDDEN
    return hidden if hidden.is_file() else folder / _MANIFEST


def _is_there(folder: Path, name: str) -> bool:
    """Return whether a file is in the folder itself, and no part of its path is a symbolic link."""
    path = folder / name
    between = [folder / parent for parent in Path(name).parents if parent != Path()]
    return path.is_file() and not any(part.is_symlink() for part in (path, *between))


def _digest(path: Path) -> str:
    """Return the SHA-256 checksum of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
