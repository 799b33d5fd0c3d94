"""Pseudo-anomalies: images that are changed so much that they leave the class of normal images.

All random numbers come from torch's global generator, on the device of the images.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

__all__ = ["TRANSFORMS", "pseudo_anomalies"]

# Share of the area of a patch that is cut and pasted, and its ratio of width to height.
_AREA, _ASPECT = (0.02, 0.15), (0.3, 3.3)
# Change of the brightness of a pasted patch.
_BRIGHTER = 0.4
# Side of a square that is cut out, as a share of the image's side.
_HOLE = (1 / 6, 1 / 4)
# Width of the blur and size of the shifts of an elastic distortion, as shares of the image's side.
_BLUR, _SHIFT = 7 / 32, 0.08


def pseudo_anomalies(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return an image made by one random transform of each image, and the number of the transform.

    Args:
        x: Images, (N, C, H, W), with values in [0, 1].

    Returns:
        Images, (N, C, H, W), and for each the position of its transform in `TRANSFORMS`, (N,).

    Source: Hendrycks et al. (2019), rotations; Li et al. (2021), cut and paste; DeVries & Taylor
    (2017), holes; Tack et al. (2020), changes that leave the normal class.

    Example:
        >>> changed, kind = pseudo_anomalies(torch.rand(4, 1, 8, 8))
        >>> changed.shape, kind.shape
        (torch.Size([4, 1, 8, 8]), torch.Size([4]))
    """
    kind = torch.randint(len(TRANSFORMS), (len(x),), device=x.device)
    found = x.clone()
    for number, transform in enumerate(TRANSFORMS):
        rows = (kind == number).nonzero().flatten()
        if len(rows):
            found[rows] = transform(x[rows])
    return found, kind


def turned(x: Tensor) -> Tensor:
    """Return images turned by 90, 180 or 270 degrees; by 180 degrees if they are not square.

    Args:
        x: Images, (N, C, H, W).
    """
    if x.shape[-1] != x.shape[-2]:
        return x.flip((-2, -1))
    turns = torch.randint(1, 4, (len(x), 1, 1, 1), device=x.device)
    whole = [torch.rot90(x, number, (-2, -1)) for number in (1, 2, 3)]
    return torch.where(turns == 1, whole[0], torch.where(turns == 2, whole[1], whole[2]))


def pasted(x: Tensor) -> Tensor:
    """Return images in which a patch, made brighter or darker, covers another place.

    Args:
        x: Images, (N, C, H, W), with values in [0, 1].
    """
    n, _, height, width = x.shape
    area = _between(n, *_AREA, x=x) * height * width
    aspect = _between(n, *map(math.log, _ASPECT), x=x).exp()
    tall = (area / aspect).sqrt().round().clamp(1, height)
    wide = (area * aspect).sqrt().round().clamp(1, width)
    down = torch.randint(1, max(2, height), (n,), device=x.device)
    right = torch.randint(1, max(2, width), (n,), device=x.device)
    other = (
        _rolled(x, down, right)
        * _between(n, 1 - _BRIGHTER, 1 + _BRIGHTER, x=x)[:, None, None, None]
    )
    return torch.where(_patch(x, tall, wide), other.clamp(0, 1), x)


def shuffled(x: Tensor) -> Tensor:
    """Return images whose quadrants are in another order.

    Args:
        x: Images, (N, C, H, W). A middle row or column of an odd number stays in its place.
    """
    n, height, width = len(x), x.shape[-2] // 2, x.shape[-1] // 2
    order = torch.rand(n, 4, device=x.device).argsort(1)
    same = (order == torch.arange(4, device=x.device)).all(1, keepdim=True)
    order = torch.where(same, order.roll(1, 1), order)
    places = [
        (slice(top, top + height), slice(left, left + width))
        for top in (0, x.shape[-2] - height)
        for left in (0, x.shape[-1] - width)
    ]
    parts = torch.stack([x[..., rows, columns] for rows, columns in places], 1)
    chosen = parts[torch.arange(n, device=x.device)[:, None], order]
    found = x.clone()
    for number, (rows, columns) in enumerate(places):
        found[..., rows, columns] = chosen[:, number]
    return found


def holed(x: Tensor) -> Tensor:
    """Return images with a square hole, whose value is 0 or 1, whichever is further from its mean.

    Args:
        x: Images, (N, C, H, W), with values in [0, 1].
    """
    side = (_between(len(x), *_HOLE, x=x) * min(x.shape[-2:])).round().clamp_min(1)
    mask = _patch(x, side, side)
    mean = (x * mask).mean((1, 2, 3), keepdim=True) / mask.to(x).mean((1, 2, 3), keepdim=True)
    return torch.where(mask, (mean < 0.5).to(x), x)


def stretched(x: Tensor) -> Tensor:
    """Return images with a smooth random distortion.

    Args:
        x: Images, (N, C, H, W).
    """
    from torchvision.transforms.v2.functional import gaussian_blur

    n, _, height, width = x.shape
    sigma = _BLUR * min(height, width)
    size = 2 * min(math.ceil(2 * sigma), (min(height, width) - 1) // 2) + 1
    shift = gaussian_blur(
        torch.rand(n, 2, height, width, device=x.device, dtype=x.dtype) - 0.5,
        [size, size],
        [sigma, sigma],
    )
    shift = shift / shift.square().mean((1, 2, 3), keepdim=True).sqrt().clamp_min(1e-12)
    same = torch.eye(2, 3, device=x.device, dtype=x.dtype).expand(n, 2, 3)
    grid = nn.functional.affine_grid(same, list(x.shape), align_corners=False)
    grid = grid + 2 * _SHIFT * shift.permute(0, 2, 3, 1)
    return nn.functional.grid_sample(x, grid, align_corners=False, padding_mode="border")


TRANSFORMS: tuple[Callable[[Tensor], Tensor], ...] = (turned, pasted, shuffled, holed, stretched)
"""Functions that make a pseudo-anomaly of each image, (N, C, H, W)."""


def _between(n: int, low: float, high: float, *, x: Tensor) -> Tensor:
    return low + (high - low) * torch.rand(n, device=x.device, dtype=x.dtype)


def _patch(x: Tensor, tall: Tensor, wide: Tensor) -> Tensor:
    """Return a mask of one random place of each image, (N, 1, H, W)."""
    n, _, height, width = x.shape
    top = (torch.rand(n, device=x.device) * (height - tall + 1)).floor()[:, None, None, None]
    left = (torch.rand(n, device=x.device) * (width - wide + 1)).floor()[:, None, None, None]
    tall, wide = tall[:, None, None, None], wide[:, None, None, None]
    down = torch.arange(height, device=x.device)[:, None]
    right = torch.arange(width, device=x.device)
    return (down >= top) & (down < top + tall) & (right >= left) & (right < left + wide)


def _rolled(x: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Return images moved by their own number of pixels; what leaves on one side enters again."""
    n, _, height, width = x.shape
    rows = (torch.arange(height, device=x.device) - down[:, None]) % height
    columns = (torch.arange(width, device=x.device) - right[:, None]) % width
    image = torch.arange(n, device=x.device)[:, None, None]
    return x.permute(0, 2, 3, 1)[image, rows[:, :, None], columns[:, None]].permute(0, 3, 1, 2)
