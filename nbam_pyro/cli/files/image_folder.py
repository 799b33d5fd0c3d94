"""A folder with one folder of images per class."""

from pathlib import Path

import numpy as np

from nbam_pyro.cli.files.messages import counted, listing, problem
from nbam_pyro.cli.files.source import Source
from nbam_pyro.data.images import image_files

__all__ = ["read_image_folder"]


def read_image_folder(folder: Path, *, labelled: bool = True) -> Source:
    """List the images of a folder; the names of its class folders are the labels.

    See `nbam_pyro.data.images.image_files`. `notes` of the result lists the symbolic links that
    were not followed.

    Args:
        folder: Folder that contains one folder per class.
        labelled: True if images need a label. With False, images directly in the folder are used,
            too, and every label is missing.

    Raises:
        DataError: There are no images, or no image is in a class folder.
    """
    from torchvision.datasets.folder import IMG_EXTENSIONS

    found = image_files(folder, labelled=labelled)
    if not found.paths and found.loose:
        raise problem(
            f"'{folder}' has images but no class folders. Put every image into a folder that is "
            "named after its label."
        )
    notes = _notes(folder, found.links)
    if not found.paths:
        raise problem(
            f"'{folder}' has no images. It needs one folder per class, with files ending in "
            f"{', '.join(IMG_EXTENSIONS)}. {' '.join(notes)}".rstrip()
        )
    return Source(
        x=found.paths,
        y=np.array(found.labels if labelled else [None] * len(found.paths), dtype=object),
        rows=np.array([path.relative_to(folder).as_posix() for path in found.paths], dtype=object),
        notes=notes,
    )


def _notes(folder: Path, links: list[Path]) -> list[str]:
    if not links:
        return []
    names = listing([path.relative_to(folder).as_posix() for path in links], most=3)
    many = counted(len(links), "symbolic link", were=("was", "were"))
    return [
        f"{many} not followed ({names}), because symbolic links to folders and out of the folder "
        "are ignored; to use these images, copy them into the folder"
    ]
