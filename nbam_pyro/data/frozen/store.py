"""Features on disk: finished arrays and the blocks of unfinished ones, found by image content.

The folder of a network and preparation has pairs of files NAME.npy (features) and NAME.images.npy
(hashes of the images, 32 bytes each), `network.json` for people, and `probe.npy`.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nbam_pyro.errors import FolderError

__all__ = ["Place", "Store", "default_cache", "opened_store"]

_IMAGES = ".images.npy"
_CHUNK = 4096  # rows that are copied at once


@dataclass(frozen=True)
class Place:
    """Where the features of an image are.

    Attributes:
        name: Name of the pair of files.
        row: Row in the file of features.
    """

    name: str
    row: int


def default_cache() -> Path:
    """Return the user's cache folder for features: `$XDG_CACHE_HOME`, or `~/.cache`."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "nbam_pyro" / "features"


@contextmanager
def opened_store(cache: Path, description: Mapping[str, Any]) -> "Iterator[Store]":
    """Lock the folder of a network and preparation. Another process waits until it is free.

    Args:
        cache: Folder of all networks.
        description: Everything on which features depend, besides the images; values are of JSON.

    Raises:
        FolderError: The folder cannot be written.
    """
    text = json.dumps(description, indent=2, sort_keys=True)
    folder = cache / hashlib.sha256(text.encode()).hexdigest()[:32]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for draft in folder.glob(".*.draft"):  # of killed processes
                draft.unlink()
            (folder / "network.json").write_text(text + "\n")
            yield Store(folder)
    except FolderError:
        raise
    except OSError as error:
        raise FolderError(
            f"The cache '{cache}' cannot be used ({error.strerror or error}). Check permissions "
            "and free space, or choose another folder for the cache."
        ) from error


@dataclass(frozen=True)
class Store:
    """The locked folder of a network and preparation.

    Attributes:
        folder: Path of the folder.
    """

    folder: Path

    def places(self) -> dict[bytes, Place]:
        """Return the places of all images whose features are known, by their hashes."""
        return {
            one: Place(name, row)
            for name in self._names()
            for row, one in enumerate(self._of(name))
        }

    def read(self, digests: Sequence[bytes]) -> np.ndarray | None:
        """Return the finished features of images in this order, or None.

        Args:
            digests: Hashes of the images.
        """
        name = _name(digests)
        if self._of(name) != list(digests):
            return None
        return self._features(name)

    def add(self, digests: Sequence[bytes], features: np.ndarray) -> None:
        """Write features of some images.

        Args:
            digests: Hashes of the images.
            features: Features, (n, ...).
        """
        with self._new(digests, features.shape[1:]) as array:
            array[:] = features

    def collect(self, digests: Sequence[bytes]) -> np.ndarray:
        """Write the features of images in one file, and remove files that it makes superfluous.

        Args:
            digests: Hashes of the images, whose features are all known.

        Returns:
            The features in this order, (N, ...), a memory map.
        """
        places = self.places()
        by_name: dict[str, list[tuple[int, int]]] = {}
        for row, one in enumerate(digests):
            place = places[one]
            by_name.setdefault(place.name, []).append((row, place.row))
        shape = self._features(next(iter(by_name))).shape[1:]
        with self._new(digests, shape) as array:
            for name, pairs in by_name.items():
                features = self._features(name)
                for start in range(0, len(pairs), _CHUNK):
                    here, there = zip(*pairs[start : start + _CHUNK], strict=True)
                    array[list(here)] = features[list(there)]
        collected = set(digests)
        for name in self._names():
            if name != _name(digests) and collected.issuperset(self._of(name)):
                (self.folder / f"{name}.npy").unlink(missing_ok=True)
                (self.folder / f"{name}{_IMAGES}").unlink(missing_ok=True)
        return self._features(_name(digests))

    def probe(self) -> np.ndarray | None:
        """Return features of the two random images, or None if they were never computed."""
        try:
            return np.load(self.folder / "probe.npy")
        except (FileNotFoundError, ValueError, EOFError):
            return None

    def write_probe(self, features: np.ndarray) -> None:
        """Write features of the two random images.

        Args:
            features: Features, (2, ...).
        """
        with _published(self.folder / "probe.npy") as draft, draft.open("wb") as file:
            np.save(file, features)

    def _names(self) -> list[str]:
        files = sorted(self.folder.glob(f"*{_IMAGES}"))
        return [path.name.removesuffix(_IMAGES) for path in files]

    def _of(self, name: str) -> list[bytes]:
        """Hashes of the images of a pair of files; empty if a file is missing or damaged."""
        try:
            images, rows = np.load(self.folder / f"{name}{_IMAGES}"), len(self._features(name))
        except (FileNotFoundError, ValueError, EOFError):
            return []
        return [one.tobytes() for one in images] if len(images) == rows else []

    def _features(self, name: str) -> np.ndarray:
        return np.load(self.folder / f"{name}.npy", mmap_mode="r")

    @contextmanager
    def _new(self, digests: Sequence[bytes], shape: tuple[int, ...]) -> Iterator[np.ndarray]:
        """An array in a new file of features, which gets its name when the block ends."""
        name = _name(digests)
        images = np.frombuffer(b"".join(digests), np.uint8).reshape(len(digests), -1)
        with _published(self.folder / f"{name}.npy") as draft:
            array = np.lib.format.open_memmap(
                draft, mode="w+", dtype=np.float32, shape=(len(digests), *shape)
            )
            yield array
            array.flush()
            del array
        with _published(self.folder / f"{name}{_IMAGES}") as draft, draft.open("wb") as file:
            np.save(file, images)


def _name(digests: Sequence[bytes]) -> str:
    return hashlib.sha256(b"".join(digests)).hexdigest()[:32]


@contextmanager
def _published(path: Path) -> Iterator[Path]:
    """A draft that replaces a file when the block ends, on disk before it gets its name."""
    draft = path.with_name(f".{path.name}.draft")
    try:
        yield draft
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
