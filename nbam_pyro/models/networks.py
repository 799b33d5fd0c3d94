"""Small networks to start from; any `nn.Module` of your own serves as well.

Each is `nn.Sequential(trunk, head)` with a linear head, so that `network[:-1]` gives features.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn


def mlp(
    in_features: int, out_features: int, *, widths: Sequence[int] = (256, 256), dropout: float = 0.5
) -> nn.Sequential:
    """A perceptron with ReLU and dropout, for tables.

    Args:
        in_features: columns of x.
        out_features: classes, or 1 for regression.
        widths: hidden widths.
        dropout: share of hidden units dropped; memorising contamination is what it is against.

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
    """3x3 convolutions with batch norm and pooling, for small images of any size.

    Args:
        channels: of the input, (N, channels, height, width); height and width at least 8.
        out_features: classes, or 1 for regression.
        widths: channels of each convolution.
        hidden: width of the features before the head.

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
    """torchvision's ResNet-18 with a 3x3 stem and no first pooling, for images of about 32 pixels.

    Args:
        channels: of the input, (N, channels, height, width).
        out_features: classes, or 1 for regression.

    Example:
        >>> import torch
        >>> resnet18(3, 10).eval()(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 10])
    """
    return nn.Sequential(ResNet18Trunk(channels), nn.Linear(512, out_features))


class ResNet18Trunk(nn.Module):
    """torchvision's ResNet-18 with a 3x3 stem and neither first pooling nor head: 512 features.

    Args:
        channels: of the input.
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
    """Rows without the code of their group, as the trunk of a story that has no groups.

    So that stories with and without groups can be compared on the same rows.

    Example:
        >>> import torch
        >>> WithoutGroups()(torch.tensor([[0.5, 2.0]]))
        tensor([[0.5000]])
    """

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :-1]


class Rescale(nn.Module):
    """A prediction in the units of y, as the last layer of a network for regression.

    The first column h becomes loc + scale h; others, such as a log relative scale, stay.

    Args:
        loc: centre of the targets.
        scale: their spread, so that the layers before work with numbers near 1.

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
