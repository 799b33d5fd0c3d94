"""Images of which some have a defect, with its pixels."""

from dataclasses import dataclass

import numpy as np

__all__ = ["DefectImages"]


@dataclass(frozen=True, kw_only=True)
class DefectImages:
    """Images of one kind, some of them with a defect.

    Attributes:
        images: Pixels, (N, 3, H, W) bytes.
        defects: Pixels of the defects, (N, H, W) bool.
        train: Number of training images. They come first.
    """

    images: np.ndarray
    defects: np.ndarray
    train: int
