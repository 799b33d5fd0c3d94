"""A small convolutional encoder of images, and a training of it to tell transforms apart."""

import torch
from torch import Tensor, nn

from nbam_pyro.detection.contrast.transforms import TRANSFORMS, pseudo_anomalies

__all__ = ["ContrastNetwork", "encoder", "features_of", "told_apart"]

# Training of the classifier of transforms.
_EPOCHS, _LR, _BATCH = 4, 3e-3, 128
# Number of images that are computed at once without gradients.
_SIZE = 512


def encoder(channels: int, width: int) -> nn.Sequential:
    """Return three convolutions of stride 2 and a pooling to 2 x 2, (N, C, H, W) -> (N, 16 width).

    Args:
        channels: Number of channels of the images.
        width: Number of channels of the first convolution.

    Example:
        >>> encoder(1, 4)(torch.rand(2, 1, 8, 8)).shape
        torch.Size([2, 64])
    """
    layers: list[nn.Module] = []
    for inputs, outputs in ((channels, width), (width, 2 * width), (2 * width, 4 * width)):
        layers += [
            nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
        ]
    found = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten())
    # For convolutions as narrow as these, channels last is twice as fast as channels first.
    return found.to(memory_format=torch.channels_last)


class ContrastNetwork(nn.Module):
    """An encoder, a projection to embeddings, and a classifier of normal and pseudo-anomaly.

    Args:
        channels: Number of channels of the images.
        width: Number of channels of the first convolution.
        embedding: Number of dimensions D of an embedding.
        classification: Whether there is a classifier.

    Example:
        >>> network = ContrastNetwork(1, 4, 8, classification=True)
        >>> network.embed(torch.rand(2, 3, 1, 8, 8)).shape
        torch.Size([2, 3, 8])
    """

    def __init__(self, channels: int, width: int, embedding: int, *, classification: bool) -> None:
        super().__init__()
        features = 16 * width
        self.encoder = encoder(channels, width)
        self.projection = nn.Sequential(
            nn.Linear(features, features), nn.ReLU(), nn.Linear(features, embedding)
        )
        self.logits = nn.Linear(features, 2) if classification else nn.Identity()

    def embed(self, views: Tensor) -> Tensor:
        """Return embeddings of length 1 of views by group, (2, n, C, H, W) -> (2, n, D).

        Args:
            views: Images and their pseudo-anomalies, (2, n, C, H, W).
        """
        z = self.projection(self.encoder(views.flatten(0, 1)))
        return nn.functional.normalize(z, dim=-1).unflatten(0, views.shape[:2])


def told_apart(x: Tensor, *, width: int) -> nn.Module:
    """Train an encoder to tell images and their transforms apart; return it in evaluation mode.

    Args:
        x: Normal images, (N, C, H, W), with values in [0, 1].
        width: Number of channels of the first convolution.

    Returns:
        Network that returns the last features before the classes, (N, 4 width).
    """
    body = nn.Sequential(
        encoder(x.shape[1], width), nn.Linear(16 * width, 4 * width), nn.BatchNorm1d(4 * width)
    ).to(x)
    head = nn.Linear(4 * width, 1 + len(TRANSFORMS)).to(x)
    optimiser = torch.optim.AdamW([*body.parameters(), *head.parameters()], lr=_LR)
    with torch.enable_grad():
        for _ in range(_EPOCHS):
            for rows in torch.randperm(len(x)).split(_BATCH):
                part = x[rows.to(x.device)]
                changed, kind = pseudo_anomalies(part)
                logits = head(body(torch.cat([part, changed])).relu())
                classes = torch.cat([torch.zeros_like(kind), 1 + kind])
                optimiser.zero_grad()
                nn.functional.cross_entropy(logits, classes).backward()
                optimiser.step()
    return body.eval().requires_grad_(False)


@torch.no_grad()
def features_of(network: nn.Module, x: Tensor) -> Tensor:
    """Return the output of a network for images, a few at a time, (N, D).

    Args:
        network: Network in evaluation mode.
        x: Images, (N, C, H, W).
    """
    return torch.cat([network(part) for part in x.split(_SIZE)])
