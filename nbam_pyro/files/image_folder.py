"""A folder with one folder of images per class."""

from pathlib import Path

import numpy as np

from nbam_pyro.files.messages import problem
from nbam_pyro.files.source import Source

__all__ = ["read_image_folder"]


def read_image_folder(folder: Path) -> Source:
    """List the images as torchvision's `ImageFolder` does, the folders' names being the labels.

    Hidden files and folders are passed over, and so are class folders without images.

    Args:
        folder: the folder of class folders.

    Raises:
        DataError: there are no images, or none in a class folder.
    """
    from torchvision.datasets.folder import (
        IMG_EXTENSIONS,
        has_file_allowed_extension,
        make_dataset,
    )

    def is_image(path: str) -> bool:
        hidden = any(part.startswith(".") for part in Path(path).relative_to(folder).parts)
        return not hidden and has_file_allowed_extension(path, IMG_EXTENSIONS)

    inside = sorted(folder.iterdir())
    classes = [path.name for path in inside if path.is_dir()]
    found: list[tuple[str, int]] = []
    if classes:
        numbered = {name: number for number, name in enumerate(classes)}
        found = make_dataset(str(folder), numbered, is_valid_file=is_image, allow_empty=True)
    if not found and any(path.is_file() and is_image(str(path)) for path in inside):
        raise problem(
            f"{folder} has images but no class folders; put each image into a folder named after "
            "its label."
        )
    if not found:
        raise problem(
            f"{folder} has no images; it needs a folder per class with files ending in "
            f"{', '.join(IMG_EXTENSIONS)}."
        )
    paths = [Path(path) for path, _ in found]
    return Source(
        x=paths,
        y=np.array([classes[number] for _, number in found], dtype=object),
        rows=np.array([path.relative_to(folder).as_posix() for path in paths], dtype=object),
    )
