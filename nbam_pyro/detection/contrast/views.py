"""Mild random views of images, which leave an image what it is: colours, crops and flips.

All random numbers come from torch's global generator, on the device of the images.
"""

import math

import torch
from torch import Tensor, nn

from nbam_pyro.errors import DataError

__all__ = ["check_pixels", "mild_views"]

# Largest relative change of brightness, contrast and saturation, and of the hue as a share of the
# colour circle; the share of images whose colours change, and the share that becomes grey.
_JITTER, _HUE, _JITTERED, _GREY = 0.4, 0.1, 0.8, 0.2
# Ratios of width to height of a crop.
_RATIO = (3 / 4, 4 / 3)
_LUMINANCE = (0.299, 0.587, 0.114)
# From RGB to brightness (Y) and two axes of colour (I, Q), in which a hue is an angle.
_YIQ = ((0.299, 0.587, 0.114), (0.596, -0.274, -0.322), (0.211, -0.523, 0.312))


def check_pixels(x: Tensor) -> None:
    """Raise a `DataError` if a pixel lies outside of [0, 1].

    Args:
        x: Images, (..., C, H, W).
    """
    low, high = (float(value) for value in x.detach().aminmax())
    if low < 0 or high > 1:
        raise DataError(
            f"Cobra takes pixels in [0, 1], but values reach from {low:g} to {high:g}. Divide "
            "bytes by 255; in an attack, give bounds=(0, 1)."
        )


def mild_views(x: Tensor, *, crop: float) -> Tensor:
    """Return one random view of each image, (N, C, H, W), with values in [0, 1].

    Brightness, contrast, saturation and hue change, some images become grey, a part of the image is
    cut out and scaled to the whole size, and half of the images are flipped left to right.
    Saturation, hue and grey need three channels.

    Args:
        x: Images, (N, C, H, W), with values in [0, 1].
        crop: Smallest share of the area that is cut out, in (0, 1].

    Source: Chen et al. (2020), SimCLR.

    Example:
        >>> mild_views(torch.rand(2, 1, 8, 8), crop=0.5).shape
        torch.Size([2, 1, 8, 8])
    """
    return _cropped(_coloured(x), crop)


def _coloured(x: Tensor) -> Tensor:
    n = len(x)
    changed = x * _factor(x)
    mean = _grey(changed).mean((-1, -2), keepdim=True)
    changed = (changed - mean) * _factor(x) + mean
    if x.shape[1] == 3:
        grey = _grey(changed)
        changed = _turned((changed - grey) * _factor(x) + grey)
    changed = torch.where(_coin(n, _JITTERED, x), changed, x).clamp(0, 1)
    if x.shape[1] == 3:
        changed = torch.where(_coin(n, _GREY, x), _grey(changed).expand_as(x), changed)
    return changed


def _turned(x: Tensor) -> Tensor:
    """Return images whose hues are turned by a random angle each."""
    angle = (2 * torch.rand(len(x), device=x.device, dtype=x.dtype) - 1) * _HUE * 2 * math.pi
    to = torch.tensor(_YIQ, device=x.device, dtype=x.dtype)
    one, zero = torch.ones_like(angle), torch.zeros_like(angle)
    cos, sin = angle.cos(), angle.sin()
    turn = torch.stack([one, zero, zero, zero, cos, -sin, zero, sin, cos], -1).reshape(-1, 3, 3)
    whole = torch.linalg.inv(to) @ turn @ to
    return torch.einsum("nij,njhw->nihw", whole, x)


def _cropped(x: Tensor, crop: float) -> Tensor:
    n = len(x)
    share = crop + (1 - crop) * torch.rand(n, device=x.device, dtype=x.dtype)
    low, high = (math.log(value) for value in _RATIO)
    ratio = (low + (high - low) * torch.rand(n, device=x.device, dtype=x.dtype)).exp()
    wide, tall = (share * ratio).sqrt().clamp_max(1), (share / ratio).sqrt().clamp_max(1)
    flip = torch.where(_coin(n, 0.5, x).flatten(), -1.0, 1.0).to(x)
    right = (2 * torch.rand(n, device=x.device, dtype=x.dtype) - 1) * (1 - wide)
    down = (2 * torch.rand(n, device=x.device, dtype=x.dtype) - 1) * (1 - tall)
    zero = torch.zeros_like(share)
    theta = torch.stack([wide * flip, zero, right, zero, tall, down], -1).reshape(n, 2, 3)
    grid = nn.functional.affine_grid(theta, list(x.shape), align_corners=False)
    return nn.functional.grid_sample(x, grid, align_corners=False, padding_mode="border")


def _grey(x: Tensor) -> Tensor:
    if x.shape[1] != 3:
        return x.mean(1, keepdim=True)
    weights = torch.tensor(_LUMINANCE, device=x.device, dtype=x.dtype)
    return (x * weights[:, None, None]).sum(1, keepdim=True)


def _factor(x: Tensor) -> Tensor:
    return 1 + _JITTER * (2 * torch.rand(len(x), 1, 1, 1, device=x.device, dtype=x.dtype) - 1)


def _coin(n: int, share: float, x: Tensor) -> Tensor:
    return torch.rand(n, 1, 1, 1, device=x.device) < share
