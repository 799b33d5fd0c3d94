"""DefectImages made of small images, with patches of other images pasted in."""

import numpy as np

from benchmarks.detection.defect_images import DefectImages

__all__ = ["textures"]

_SIZE = 128
# Smallest and largest side of a pasted patch, in pixels.
_SIDES = (16, 40)


def textures(
    small: np.ndarray, *, share: float, seed: int, train: int = 100, new: int = 60
) -> DefectImages:
    """Return images of one texture: a small image beside its mirror images, again and again.

    Places, brightness and noise of the pixels differ from image to image. A defect is a rectangle
    of another small image at twice its size; each image with a defect has another one.

    Args:
        small: Pixels of small images in [0, 1], (M, C, S, S), with 1 or 3 channels.
        share: Share of training images with a defect. Half of the new images have one.
        seed: Seed for everything random.
        train: Number of training images.
        new: Number of new images.
    """
    rng = np.random.default_rng(seed)
    tile = _coloured(small[rng.integers(len(small))])
    wide = np.concatenate([tile, tile[:, :, ::-1]], 2)
    period = np.concatenate([wide, wide[:, ::-1]], 1)
    canvas = np.tile(period, (1, *[2 + _SIZE // period.shape[1]] * 2))
    images = np.empty((train + new, 3, _SIZE, _SIZE), dtype=np.uint8)
    defects = np.zeros((train + new, _SIZE, _SIZE), dtype=bool)
    for row in range(train + new):
        i, j = rng.integers(0, period.shape[1], 2)
        image = canvas[:, i : i + _SIZE, j : j + _SIZE] * rng.uniform(0.85, 1.15)
        image += rng.normal(0, 0.025, image.shape)
        if row < round(train * share) or row >= train + new // 2:
            patch = np.kron(_coloured(small[rng.integers(len(small))]), np.ones((1, 2, 2)))
            _paste(rng, image, patch, defects[row])
        images[row] = (255 * image.clip(0, 1)).astype(np.uint8)
    return DefectImages(images=images, defects=defects, train=train)


def _paste(
    rng: np.random.Generator, image: np.ndarray, patch: np.ndarray, mask: np.ndarray
) -> None:
    sides = rng.integers(_SIDES[0], _SIDES[1] + 1, 2)
    (i, j), (y, x) = (rng.integers(0, most - sides + 1) for most in (patch.shape[1], _SIZE))
    height, width = sides
    image[:, y : y + height, x : x + width] = patch[:, i : i + height, j : j + width]
    mask[y : y + height, x : x + width] = True


def _coloured(image: np.ndarray) -> np.ndarray:
    return np.repeat(image, 3, 0) if len(image) == 1 else image
