"""Multi-head RotNet: a classifier recognises the rotation and the shift of normal images."""

import torch
from torch import Tensor, nn

from nbam_pyro.detection.backbones.base import Backbone, Energies
from nbam_pyro.errors import DataError
from nbam_pyro.models.likelihoods.component import check_positive


class Rotations(Backbone):
    r"""36 views of an image, from 4 rotations and 3 x 3 shifts, and three softmax heads.

    .. math::
        E_n = \mathrm{mean}_v \big(-\log p(r_v) - \log p(s_v) - \log p(t_v)\big)

    The heads predict the rotation r, the shift s down and the shift t to the right of each view v.
    The clean energy E_n is low if the heads predict all three correctly. The anomaly energy E_a is
    the cross-entropy of the heads to uniform predictions. All views are computed as one batch.

    Args:
        channels: Number of channels of the images, which are square.
        members: Number S of models. Each training step computes them one at a time.
        width: Number of channels of the first convolution.
        shift: Size of a shift, as a share of the image's side.

    Raises:
        DataError: `shift` is not positive, or images are not square or too small to be shifted.

    Source: Hendrycks et al. (2019); E_a of Qiu et al. (2022).

    Example:
        >>> Rotations(1, width=4).energies(torch.randn(1, 2, 1, 12, 12)).clean.shape
        torch.Size([1, 2])
    """

    row_dims = 3

    def __init__(
        self, channels: int, *, members: int = 1, width: int = 16, shift: float = 0.25
    ) -> None:
        super().__init__(members)
        check_positive("shift", shift)
        self.channels, self.width, self.shift = channels, width, shift
        classifiers = nn.ModuleList([_Classifier(channels, width) for _ in range(members)])
        # For convolutions as narrow as these, channels last is twice as fast as channels first.
        self.classifiers = classifiers.to(memory_format=torch.channels_last)

    def energies(self, x: Tensor) -> Energies:
        if x.shape[-1] != x.shape[-2]:
            raise DataError(
                f"Images are {x.shape[-2]} by {x.shape[-1]}; Rotations needs square images."
            )
        if self._step(x) >= x.shape[-1]:
            raise DataError(
                f"Images of {x.shape[-1]} by {x.shape[-1]} cannot be shifted by "
                f"{self._step(x)} pixels: give larger images, or a smaller `shift`."
            )
        pairs = [self._of_member(*one) for one in zip(self.classifiers, x, strict=True)]
        return Energies(*(torch.stack(side) for side in zip(*pairs, strict=True)))

    def _of_member(self, classifier: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
        heads = classifier(self._views(images).flatten(0, 1))
        names = torch.cartesian_prod(torch.arange(4), torch.arange(3), torch.arange(3))
        clean, anomalous = [], []
        for log_p, name in zip(heads, names.to(images.device).T, strict=True):
            by_view = log_p.unflatten(0, (36, len(images)))
            own = by_view.gather(-1, name[:, None, None].expand(36, len(images), 1))
            clean.append(-own.squeeze(-1).mean(0))
            anomalous.append(-by_view.mean(-1).mean(0))
        return torch.stack(clean).sum(0), torch.stack(anomalous).sum(0)

    def _step(self, images: Tensor) -> int:
        return max(1, round(self.shift * images.shape[-1]))

    def _views(self, images: Tensor) -> Tensor:
        """Return views ordered by rotation, shift down and shift right, (36, N, C, H, W)."""
        step = self._step(images)
        views = []
        for turns in range(4):
            turned = torch.rot90(images, turns, (-2, -1))
            padded = nn.functional.pad(turned, [step] * 4, mode="reflect")
            side = images.shape[-1]
            for down in (0, step, 2 * step):
                rows = padded[..., down : down + side, :]
                views += [rows[..., right : right + side] for right in (0, step, 2 * step)]
        return torch.stack(views)


class _Classifier(nn.Module):
    """Log probabilities of rotations (N, 4), shifts down (N, 3) and to the right (N, 3)."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in ((channels, width), (width, 2 * width), (2 * width, 4 * width)):
            layers += [
                nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(),
            ]
        self.trunk = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten())
        self.heads = nn.ModuleList([nn.Linear(16 * width, n) for n in (4, 3, 3)])

    def forward(self, images: Tensor) -> list[Tensor]:
        h = self.trunk(images)
        return [head(h).log_softmax(-1) for head in self.heads]
