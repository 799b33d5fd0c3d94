"""Small networks to start with. Stories also take any other `nn.Module`.

Each network is `nn.Sequential(trunk, head)` with a linear head; therefore `network[:-1]` maps x to
features.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from nbam_pyro.errors import DataError


def mlp(
    in_features: int, out_features: int, *, widths: Sequence[int] = (256, 256), dropout: float = 0.5
) -> nn.Sequential:
    """Return a perceptron with ReLU and dropout, for tables.

    Args:
        in_features: Number of columns of x.
        out_features: Number of classes, or 1 for regression.
        widths: Number of units of each hidden layer.
        dropout: Share of hidden units that are dropped in training. Dropout makes it harder for the
            network to memorise contaminated targets.

    Example:
        >>> import torch
        >>> mlp(8, 3)(torch.zeros(5, 8)).shape
        torch.Size([5, 3])
    """
    layers: list[nn.Module] = []
    for before, after in pairwise([in_features, *widths]):
        layers += [nn.Linear(before, after), nn.ReLU(), nn.Dropout(dropout)]
    return nn.Sequential(nn.Sequential(*layers), nn.Linear(widths[-1], out_features))


def small_cnn(
    channels: int, out_features: int, *, widths: Sequence[int] = (16, 32, 64), hidden: int = 128
) -> nn.Sequential:
    """Return 3x3 convolutions with batch normalisation and pooling, for small images of any size.

    Args:
        channels: Number of channels of the input, (N, channels, height, width). Height and width
            must be at least 8 pixels.
        out_features: Number of classes, or 1 for regression.
        widths: Number of channels of each convolution.
        hidden: Number of features before the head.

    Example:
        >>> import torch
        >>> small_cnn(1, 10)(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 10])
    """
    layers: list[nn.Module] = []
    for before, after in pairwise([channels, *widths]):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU()]
        layers += [nn.MaxPool2d(2)]
    layers += [nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(9 * widths[-1], hidden), nn.ReLU()]
    return nn.Sequential(nn.Sequential(*layers), nn.Linear(hidden, out_features))


def resnet18(channels: int, out_features: int) -> nn.Sequential:
    """Return torchvision's ResNet-18, adapted to images of about 32 x 32 pixels.

    The first convolution is 3x3 with stride 1, and the first pooling is left out. The weights are
    random.

    Args:
        channels: Number of channels of the input, (N, channels, height, width).
        out_features: Number of classes, or 1 for regression.

    Example:
        >>> import torch
        >>> resnet18(3, 10).eval()(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 10])
    """
    return nn.Sequential(ResNet18Trunk(channels), nn.Linear(512, out_features))


class ResNet18Trunk(nn.Module):
    """The trunk of `resnet18`, which maps images to 512 features.

    Args:
        channels: Number of channels of the input, (N, channels, height, width).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        from torchvision.models import resnet18 as torchvision_resnet18  # slow to import

        self.channels = channels
        self.layers = torchvision_resnet18()
        self.layers.conv1 = nn.Conv2d(channels, 64, 3, padding=1, bias=False)
        self.layers.maxpool = nn.Identity()
        self.layers.fc = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class WithoutGroups(nn.Module):
    """A layer that removes the last column of x, which is the code of a row's group.

    Use it as the trunk of a story without groups to compare this story on the same rows with a
    story that uses the groups. It can also remove several last columns, such as the coordinates
    that a `GaussianProcessSwitch` takes.

    Args:
        columns: Number of last columns to remove, 1 or more.

    Raises:
        DataError: `columns` is less than 1.

    Example:
        >>> import torch
        >>> WithoutGroups()(torch.tensor([[0.5, 2.0]]))
        tensor([[0.5000]])
    """

    def __init__(self, columns: int = 1) -> None:
        super().__init__()
        if columns < 1:
            raise DataError(f"columns is {columns}; give the number of last columns, 1 or more.")
        self.columns = columns

    def forward(self, x: Tensor) -> Tensor:
        return x[:, : -self.columns]


class Rescale(nn.Module):
    """A last layer for regression, which converts the first output to the units of y.

    The first column h becomes loc + scale * h. Further columns, such as the logarithm of a relative
    scale, do not change. The layers before this one therefore work with numbers near 1.

    Args:
        loc: Centre of the targets, in the units of y.
        scale: Scale of the targets, in the units of y, such as their standard deviation.

    Example:
        >>> import torch
        >>> Rescale(100.0, 10.0)(torch.tensor([[0.5, 7.0]]))
        tensor([[105.,   7.]])
    """

    def __init__(self, loc: float, scale: float) -> None:
        super().__init__()
        self.loc = loc
        self.scale = scale

    def forward(self, h: Tensor) -> Tensor:
        return torch.cat([self.loc + self.scale * h[..., :1], h[..., 1:]], -1)
