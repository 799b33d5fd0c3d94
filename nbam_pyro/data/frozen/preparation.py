"""What is done to an image before a frozen network sees it."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from nbam_pyro.errors import DataError

__all__ = ["Preparation"]


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """Cutting, scaling and standardising of an image.

    Attributes:
        size: Height and width in pixels that the network gets. The largest square in the centre of
            the image is scaled to this size (bicubic, with antialiasing). None to keep the size.
        mean: Mean of each channel, subtracted from pixels in [0, 1]; one number for all channels,
            or one for each. None to leave the pixels as they are.
        std: Standard deviation of each channel, by which the difference is divided.

    Example:
        >>> image = torch.full((3, 40, 30), 255, dtype=torch.uint8)
        >>> prepared = Preparation(size=16, mean=(0.5,), std=(0.5,))(image)
        >>> prepared.shape, prepared.max()
        (torch.Size([3, 16, 16]), tensor(1.))
    """

    size: int | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if self.size is not None and self.size < 1:
            raise DataError(f"The size of images is {self.size}. Give a number of pixels, or None.")
        if (self.mean is None) != (self.std is None):
            raise DataError("Only one of mean and std is given. Give both, or none of them.")
        for values in (self.mean, self.std):
            if values is not None and (not values or not all(map(math.isfinite, values))):
                raise DataError(f"mean and std need finite numbers, but one of them is {values}.")
        if self.std is not None and min(self.std) <= 0:
            raise DataError(f"std is {self.std}. Standard deviations must be positive.")

    def __call__(self, image: Tensor) -> Tensor:
        """Prepare one image.

        Args:
            image: Pixels, (C, H, W), as bytes or as floats. Bytes are divided by 255.

        Raises:
            DataError: The number of channels does not fit, or floats lie outside [0, 1] although
                they are to be standardised.
        """
        image = image if image.dtype == torch.uint8 else image.float()
        if self.size is not None:
            image = self._scaled(image, self.size)
        pixels = image / 255 if image.dtype == torch.uint8 else image
        if self.mean is None or self.std is None:
            return pixels
        low, high = pixels.aminmax()
        if low < -1e-3 or high > 1 + 1e-3:
            raise DataError(
                f"Pixels run from {low:.4g} to {high:.4g}, but mean and std are for pixels from 0 "
                "to 1. Give bytes (uint8), or floats from 0 to 1."
            )
        mean, std = (torch.tensor(values).reshape(-1, 1, 1) for values in (self.mean, self.std))
        if 1 not in (len(pixels), len(mean)) and len(pixels) != len(mean):
            raise DataError(
                f"Images have {len(pixels)} channels, but mean and std have {len(mean)} numbers."
            )
        return (pixels - mean) / std

    def _scaled(self, image: Tensor, size: int) -> Tensor:
        from torchvision.transforms.v2 import InterpolationMode
        from torchvision.transforms.v2.functional import center_crop, resize

        square = center_crop(image, [min(image.shape[1:])] * 2)
        scaled = resize(square, [size, size], InterpolationMode.BICUBIC, antialias=True)
        if image.dtype == torch.uint8:
            return scaled
        return scaled.clamp(*square.aminmax())  # bicubic floats overshoot at edges
