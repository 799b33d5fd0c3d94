"""Networks for images: augmentation as a layer, and a residual network for training on CPUs."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nbam_pyro.models import small_cnn


class CropAndFlip(nn.Module):
    """Layer that makes random crops of padded images and random mirror images during training.

    Images stay unchanged in evaluation mode. Augmentation is a layer, not a loader transform.
    Therefore it runs on the device of the batch, and all methods use it.

    Args:
        pad: Number of pixels with zeros on each side of the image. It is also the largest shift.
    """

    def __init__(self, pad: int) -> None:
        super().__init__()
        self.pad = pad

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        n, channels, height, width = x.shape
        device = x.device
        down, right = torch.randint(2 * self.pad + 1, (2, n, 1), device=device)
        rows = down + torch.arange(height, device=device)
        columns = right + torch.arange(width, device=device)
        mirrored = torch.rand(n, 1, device=device) < 0.5
        columns = torch.where(mirrored, columns.flip(1), columns)
        image = torch.arange(n, device=device)[:, None, None, None]
        channel = torch.arange(channels, device=device)[:, None, None]
        padded = F.pad(x, [self.pad] * 4)
        return padded[image, channel, rows[:, None, :, None], columns[:, None, None, :]]


class Residual(nn.Module):
    """Two 3x3 convolutions with batch norm and a shortcut (He et al. 2016, CIFAR variant).

    Args:
        before: Channels of the input.
        after: Channels of the output. If they differ, height and width are halved.
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.before, self.after = before, after
        stride = 1 if before == after else 2
        self.layers = nn.Sequential(
            nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
            nn.Conv2d(after, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
        )

    def forward(self, x: Tensor) -> Tensor:
        # Option A of the paper, without parameters: skip pixels, new channels are zero.
        short = x if self.before == self.after else x[:, :, ::2, ::2]
        short = F.pad(short, [0, 0, 0, 0, 0, self.after - self.before])
        return torch.relu(self.layers(x) + short)


def augmented_cnn() -> nn.Sequential:
    """Make the network for Fashion-MNIST: augmentation, then the library's `small_cnn`.

    Augmentation makes crops of two pixels and mirror images. The network has three 3x3 convolutions
    (16, 32, 64) with batch norm and pooling, and 128 hidden units.
    """
    trunk, head = small_cnn(1, 10)
    return _channels_last(nn.Sequential(nn.Sequential(CropAndFlip(2), trunk), head))


def augmented_resnet() -> nn.Sequential:
    """Make the network for CIFAR-10: augmentation, then ResNet-8.

    Augmentation makes crops of four pixels and mirror images. The first 3x3 convolution has stride
    2, which makes training on CPUs faster. Three stages (16, 32, 64) of one block with batch norm
    follow, without pooling between them. The network has 75 thousand parameters.
    """
    stem = [nn.Conv2d(3, 16, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    stages = [Residual(before, after) for before, after in pairwise([16, 16, 32, 64])]
    trunk = nn.Sequential(CropAndFlip(4), *stem, *stages, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return _channels_last(nn.Sequential(trunk, nn.Linear(64, 10)))


def augmented_cnn8() -> nn.Sequential:
    """Make the 8-layer network of published tables for CIFAR-10, with augmentation.

    Augmentation makes crops of four pixels and mirror images. Pairs of 3x3 convolutions with batch
    norm (64, 128, 196) are each followed by pooling; then come 256 hidden units. The network has
    1.6 million parameters.

    Source: Ma et al. (2020), whose tables most robust losses are compared with.
    """
    layers: list[nn.Module] = [CropAndFlip(4)]
    for before, after in pairwise([3, 64, 128, 196]):
        for inputs in (before, after):
            layers += [
                nn.Conv2d(inputs, after, 3, padding=1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(),
            ]
        layers.append(nn.MaxPool2d(2))
    hidden = [nn.Flatten(), nn.Linear(16 * 196, 256, bias=False), nn.BatchNorm1d(256), nn.ReLU()]
    return _channels_last(nn.Sequential(nn.Sequential(*layers, *hidden), nn.Linear(256, 10)))


def _channels_last(network: nn.Sequential) -> nn.Sequential:
    """Return the network in channels-last format, up to twice as fast on a CPU."""
    return network.to(memory_format=torch.channels_last)
