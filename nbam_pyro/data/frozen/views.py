"""Views of images: mirror images and crops."""

import torch
from torch import Tensor

__all__ = ["MOST", "views_of"]

MOST = 10
"""Largest number of views of an image."""

# Side of a crop, as a share of the side of the image.
_CROP = 7 / 8


def views_of(images: Tensor, count: int) -> list[Tensor]:
    """Return the first views of images: themselves, mirror images, corners, mirrored corners.

    A corner is a crop of 7/8 of the height and width, scaled to the size of the image. The views
    are the same for the same image. Left and right are exchanged in mirror images.

    Args:
        images: Images, (N, C, H, W).
        count: Number of views, 1 to 10.

    Returns:
        Images of the same shape for each view.

    Example:
        >>> [view.flatten().tolist() for view in views_of(torch.tensor([[[[1.0, 2.0]]]]), 2)]
        [[1.0, 2.0], [2.0, 1.0]]
    """
    from torchvision.transforms.v2.functional import five_crop, resize

    whole = [images]
    if count > 2:
        height, width = images.shape[-2:]
        size = [max(1, round(_CROP * height)), max(1, round(_CROP * width))]
        corners = five_crop(images, size)[:4]
        whole += [resize(corner, [height, width], antialias=True) for corner in corners]
    both = [view for one in whole for view in (one, one.flip(-1))]
    return [view.contiguous(memory_format=torch.channels_last) for view in both[:count]]
