"""Anomaly maps of the size of images."""

from typing import Any

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch.nn.functional import interpolate

from nbam_pyro.errors import DataError

__all__ = ["enlarged_maps"]

# Standard deviation of the blur, in cells.
_BLUR = 0.5


def enlarged_maps(maps: Any, size: tuple[int, int]) -> np.ndarray:
    """Return maps of the size of the images, (N, H, W) float32.

    Maps are interpolated linearly, and blurred with a standard deviation of half a cell.

    Args:
        maps: Scores of cells, (N, h, w).
        size: Height H and width W in pixels.

    Raises:
        DataError: The maps have a wrong shape, or the size is not positive.

    Example:
        >>> enlarged_maps(np.ones((2, 3, 4)), (30, 40)).shape
        (2, 30, 40)
    """
    given = np.asarray(maps, dtype=np.float32)
    if given.ndim != 3 or not given.size or min(size) < 1:
        raise DataError(
            f"maps have shape {given.shape}, and size is {size}. Give maps (N, h, w), and a height "
            "and a width of at least one pixel."
        )
    large = interpolate(
        torch.as_tensor(given)[:, None], size=tuple(size), mode="bilinear", align_corners=False
    )
    sigma = [_BLUR * new / old for new, old in zip(size, given.shape[1:], strict=True)]
    return np.asarray(gaussian_filter(large[:, 0].numpy(), (0, *sigma), mode="nearest"))
