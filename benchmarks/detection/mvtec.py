"""Images of MVTec AD, with some images of defects among the training images."""

from pathlib import Path

import numpy as np

from benchmarks.detection.defect_images import DefectImages
from nbam_pyro.data.images import opened, pixels, plain
from nbam_pyro.errors import DataError

__all__ = ["categories", "contaminated"]

_GOOD = "good"
_MOST = 0.5


def categories(root: Path) -> list[str]:
    """Return the names of the folders CATEGORY that have a folder CATEGORY/train/good, sorted.

    Args:
        root: Folder of MVTec AD.

    Raises:
        DataError: There is no such folder.
    """
    found = sorted(one.parent.parent.name for one in root.glob(f"*/train/{_GOOD}") if one.is_dir())
    if not found:
        raise DataError(
            f"'{root}' has no folder CATEGORY/train/{_GOOD}. Give the unpacked folder of MVTec AD "
            "as --data-root."
        )
    return found


def contaminated(folder: Path, *, share: float, seed: int, size: int) -> DefectImages:
    """Return the images of one category, with random images of defects among the training images.

    MVTec AD has defects only among its test images. At most half of them are moved to the training
    images. Random good training images are left out where the share needs it. New images are the
    other test images.

    Args:
        folder: Folder of a category, with train/good, test/DEFECT and ground_truth/DEFECT. The mask
            of test/DEFECT/NAME.png is ground_truth/DEFECT/NAME_mask.png.
        share: Share of training images with a defect, at most one half.
        seed: Seed of the choice.
        size: Height and width in pixels to which images and masks are scaled. A pixel of a scaled
            mask belongs to the defect if any of its pixels does.

    Raises:
        DataError: The share is above one half, or images or masks are missing.
    """
    if share > _MOST:
        raise DataError(f"The share of defects is {share}. Give at most {_MOST} for MVTec AD.")
    rng = np.random.default_rng(seed)
    good, tested = _files(folder / "train" / _GOOD), _files(folder / "test" / _GOOD)
    kinds = sorted(one.name for one in (folder / "test").iterdir() if one.is_dir())
    bad = [path for kind in kinds if kind != _GOOD for path in _files(folder / "test" / kind)]
    if len(bad) < 2:
        raise DataError(f"'{folder / 'test'}' has fewer than two images of defects.")
    moved = 0
    if share > 0:
        moved = min(round(len(good) * share / (1 - share)), len(bad) // 2)
        kept = min(len(good), round(moved * (1 - share) / share))
        good = [good[row] for row in rng.permutation(len(good))[:kept]]
    bad = [bad[row] for row in rng.permutation(len(bad))]
    paths = [*bad[:moved], *good, *tested, *bad[moved:]]
    images = np.stack([_image(path, size) for path in paths])
    defects = np.zeros((len(paths), size, size), dtype=bool)
    broken = [*range(moved), *range(len(paths) - len(bad) + moved, len(paths))]
    for row in broken:
        defects[row] = _mask(folder, paths[row], size)
    return DefectImages(images=images, defects=defects, train=moved + len(good))


def _files(folder: Path) -> list[Path]:
    found = sorted(folder.glob("*.png"))
    if not found:
        raise DataError(f"'{folder}' has no PNG files. Unpack MVTec AD again.")
    return found


def _image(path: Path, size: int) -> np.ndarray:
    with opened(path) as image:
        found = pixels(image, height=size, width=size, channels=3)
    return np.asarray((255 * found).round().astype(np.uint8))


def _mask(folder: Path, path: Path, size: int) -> np.ndarray:
    """Return the pixels of the defect of an image, (size, size) bool."""
    file = folder / "ground_truth" / path.parent.name / f"{path.stem}_mask.png"
    with opened(file) as image:
        whole = np.asarray(plain(image, channels=1)) > 0
    if not whole.any():
        raise DataError(f"The mask '{file}' has no pixel of a defect. Unpack MVTec AD again.")
    return _any_pixel(whole, size)


def _any_pixel(mask: np.ndarray, size: int) -> np.ndarray:
    """Scale a mask. A pixel of the result is True if any pixel that it covers is True."""
    for _ in range(2):  # first the rows, then the columns
        ends = np.linspace(0, len(mask), size + 1)
        low = np.floor(ends[:-1]).astype(int)
        high = np.maximum(np.ceil(ends[1:]).astype(int), low + 1)
        mask = np.stack([mask[a:b].any(0) for a, b in zip(low, high, strict=True)]).T
    return mask
