"""A folder with one folder of images per class."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from nbam_pyro.cli.files.messages import counted, listing, problem
from nbam_pyro.cli.files.source import Source

__all__ = ["read_image_folder"]


def read_image_folder(folder: Path) -> Source:
    """List the images of a folder as torchvision's `ImageFolder` does; folder names are labels.

    Hidden files and folders are ignored, and so are class folders without images. A symbolic link
    to an image file inside the folder counts as an image. Symbolic links to folders, and those that
    lead out of the folder, are not followed; `notes` of the result lists them.

    Args:
        folder: Folder that contains one folder per class.

    Raises:
        DataError: There are no images, or no image is in a class folder.
    """
    from torchvision.datasets.folder import IMG_EXTENSIONS, has_file_allowed_extension

    def is_image(path: Path) -> bool:
        return has_file_allowed_extension(path.name, IMG_EXTENSIONS)

    inside = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    root = folder.resolve()
    passed: list[Path] = [path for path in inside if path.is_symlink() and path.is_dir()]
    found: list[tuple[Path, str]] = []
    for kind in inside:
        if kind.is_dir() and not kind.is_symlink():
            for path in _files(kind, passed):
                if not is_image(path):
                    continue
                if path.is_symlink() and not _leads_into(root, path):
                    passed.append(path)
                elif path.is_file():
                    found.append((path, kind.name))
    if not found and any(path.is_file() and is_image(path) for path in inside):
        raise problem(
            f"'{folder}' has images but no class folders. Put every image into a folder that is "
            "named after its label."
        )
    notes = _notes(folder, passed)
    if not found:
        raise problem(
            f"'{folder}' has no images. It needs one folder per class, with files ending in "
            f"{', '.join(IMG_EXTENSIONS)}. {' '.join(notes)}".rstrip()
        )
    return Source(
        x=[path for path, _ in found],
        y=np.array([kind for _, kind in found], dtype=object),
        rows=np.array([path.relative_to(folder).as_posix() for path, _ in found], dtype=object),
        notes=notes,
    )


def _files(folder: Path, passed: list[Path]) -> Iterator[Path]:
    """Files below a folder, sorted. Links to folders are added to `passed`, the ignored paths."""
    for above, folders, files in os.walk(folder):
        here = Path(above)
        passed += [here / name for name in folders if (here / name).is_symlink()]
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (here / name for name in sorted(files) if not name.startswith("."))


def _leads_into(root: Path, link: Path) -> bool:
    try:
        return link.resolve(strict=True).is_relative_to(root)
    except (OSError, RuntimeError):  # the target is missing, or the link leads to itself
        return False


def _notes(folder: Path, passed: list[Path]) -> list[str]:
    if not passed:
        return []
    names = listing([path.relative_to(folder).as_posix() for path in sorted(passed)], most=3)
    many = counted(len(passed), "symbolic link", were=("was", "were"))
    return [
        f"{many} not followed ({names}), because symbolic links to folders and out of the folder "
        "are ignored; to use these images, copy them into the folder"
    ]
