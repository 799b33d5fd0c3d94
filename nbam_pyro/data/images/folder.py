"""The images of a folder that has one folder of images per class."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ImageFiles", "image_files"]


@dataclass(frozen=True)
class ImageFiles:
    """The images of a folder.

    Attributes:
        paths: Paths of the images, N of them, sorted within each class.
        labels: Name of the class folder of each image, N texts. It is the empty text for an image
            that is directly in the folder.
        links: Symbolic links that were not followed.
        loose: True if the folder has images that are in no class folder.
    """

    paths: list[Path]
    labels: list[str]
    links: list[Path]
    loose: bool


def image_files(folder: Path, *, labelled: bool = True) -> ImageFiles:
    """List the images of a folder as torchvision's `ImageFolder` does; folder names are labels.

    Hidden files and folders are ignored, and so are class folders without images. A symbolic link
    to an image file inside the folder counts as an image. Symbolic links to folders, and those that
    lead out of the folder, are not followed.

    Args:
        folder: Folder that contains one folder per class.
        labelled: True to list only images in class folders. With False, images directly in the
            folder are listed, too, before the others.
    """
    from torchvision.datasets.folder import IMG_EXTENSIONS, has_file_allowed_extension

    def is_image(path: Path) -> bool:
        return has_file_allowed_extension(path.name, IMG_EXTENSIONS)

    inside = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    links = [path for path in inside if path.is_symlink() and path.is_dir()]
    loose = [path for path in inside if path.is_file() and is_image(path)]
    found = [] if labelled else [(path, "") for path in loose]
    for kind in inside:
        if kind.is_dir() and not kind.is_symlink():
            found += [(path, kind.name) for path in _files(kind, links) if is_image(path)]
    root = folder.resolve()
    links += [path for path, _ in found if path.is_symlink() and not _leads_into(root, path)]
    outside = set(links)
    kept = [(path, label) for path, label in found if path not in outside and path.is_file()]
    return ImageFiles(
        paths=[path for path, _ in kept],
        labels=[label for _, label in kept],
        links=sorted(links),
        loose=bool(loose),
    )


def _files(folder: Path, links: list[Path]) -> Iterator[Path]:
    """Files below a folder, sorted. Links to folders are added to `links`, the ignored paths."""
    for above, folders, files in os.walk(folder):
        here = Path(above)
        links += [here / name for name in folders if (here / name).is_symlink()]
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (here / name for name in sorted(files) if not name.startswith("."))


def _leads_into(root: Path, link: Path) -> bool:
    try:
        return link.resolve(strict=True).is_relative_to(root)
    except (OSError, RuntimeError):  # the target is missing, or the link leads to itself
        return False
