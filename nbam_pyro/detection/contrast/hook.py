"""`ContrastHook`: views, pseudo-anomalies and adversarial copies of each training batch."""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn

from nbam_pyro.detection.contrast.shift_filter import ShiftFilter
from nbam_pyro.detection.contrast.transforms import pseudo_anomalies
from nbam_pyro.detection.contrast.views import mild_views
from nbam_pyro.training.contexts import evaluating
from nbam_pyro.training.hooks import StepHook
from nbam_pyro.training.rows import Batch

__all__ = ["ContrastHook", "Filter", "TrainedOnViews"]

# A transform of a row is drawn again at most this often, in total.
_TRIES = 5
# Batch normalisation needs two rows.
_LEAST = 2
# Length of the walk of the attacker, in units of eps.
_WALK = 2.5


class Filter(nn.Module):
    """A network and a test of its features: which images have left the normal class.

    Args:
        network: Network in evaluation mode, (N, C, H, W) -> (N, D).
        test: Test of the features.
    """

    def __init__(self, network: nn.Module, test: ShiftFilter) -> None:
        super().__init__()
        self.network, self.test = network, test

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """Return whether each image is accepted as a pseudo-anomaly, (N,) booleans.

        Args:
            x: Images, (N, C, H, W).
        """
        accepted: Tensor = self.test(self.network(x))
        return accepted


class TrainedOnViews(Protocol):
    """A backbone that `ContrastHook` can attack."""

    eps: float
    steps: int
    crop: float
    members: int

    def losses(self, first: Tensor | None, second: Tensor | None, fixed: Tensor) -> Tensor:
        """Return the loss that an attacker raises.

        Args:
            first: Copies of the first view that the contrastive loss uses, (S, n, 2, C, H, W).
            second: Copies of the second view that the classifier uses, in the same shape.
            fixed: Second view, which does not move, in the same shape.
        """


class ContrastHook(StepHook):
    """Replaces each image of a batch by views of it, of a pseudo-anomaly, and adversarial copies.

    Rows for which the filter accepts no pseudo-anomaly in five tries are left out of the batch; all
    rows are kept if fewer than two would be left.

    Args:
        backbone: Backbone that is trained.
        filter: Filter of pseudo-anomalies; None to accept all.
        contrast: Whether copies for the contrastive loss are made.
        classification: Whether copies for the classifier are made.
    """

    def __init__(
        self,
        backbone: TrainedOnViews,
        *,
        filter: Filter | None,
        contrast: bool,
        classification: bool,
    ) -> None:
        self.backbone, self.filter = backbone, filter
        self.contrast, self.classification = contrast, classification
        self.modules = () if filter is None else (filter,)

    @torch.no_grad()
    def __call__(self, batch: Batch, loss: Callable[[Batch], Tensor]) -> Batch:
        """Return a batch whose rows are views, (n, S, K, 2, C, H, W).

        The third dimension has the two mild views, then the adversarial copy of the first view for
        the contrastive loss and that of the second view for the classifier, as far as they are
        used. The fourth has the image and its pseudo-anomaly.

        Args:
            batch: Images, (n, S or 1, C, H, W).
            loss: Not used: the attacker raises the losses of all rows as if they were normal.
        """
        images = batch.x
        odd, kept = self._pseudo(images)
        rows = kept.nonzero().flatten() if int(kept.sum()) >= _LEAST else torch.arange(len(images))
        pair = torch.stack([images[rows], odd[rows]], 2)
        views = [self._view(pair) for _ in range(2)]
        if self.backbone.eps > 0:
            views += self._moved(*views)
        x = torch.stack([one.expand(-1, views[-1].shape[1], -1, -1, -1, -1) for one in views], 2)
        index = rows.to(batch.y.device)
        return Batch(x, batch.y[index], batch.weights[index], batch.verified[index])

    def _pseudo(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return a pseudo-anomaly of each image, and whether it is accepted, (n,)."""
        flat = images.flatten(0, 1)
        odd = pseudo_anomalies(flat)[0]
        if self.filter is None:
            return odd.reshape(images.shape), torch.ones(len(images), dtype=torch.bool)
        accepted = self.filter(odd)
        for _ in range(_TRIES - 1):
            left = (~accepted).nonzero().flatten()
            if not len(left):
                break
            odd[left] = pseudo_anomalies(flat[left])[0]
            accepted[left] = self.filter(odd[left])
        return odd.reshape(images.shape), accepted.reshape(images.shape[:2]).all(1)

    def _view(self, pair: Tensor) -> Tensor:
        return mild_views(pair.flatten(0, 2), crop=self.backbone.crop).reshape(pair.shape)

    def _moved(self, one: Tensor, other: Tensor) -> list[Tensor]:
        """Return copies that an attacker has moved, each (n, S, 2, C, H, W)."""
        members = self.backbone.members
        fixed = other.expand(-1, members, -1, -1, -1, -1).transpose(0, 1)
        starts = [
            part.expand(-1, members, -1, -1, -1, -1).transpose(0, 1)
            for part, used in ((one, self.contrast), (other, self.classification))
            if used
        ]
        eps, step = self.backbone.eps, _WALK * self.backbone.eps / self.backbone.steps
        moved = [(start + eps * (2 * torch.rand_like(start) - 1)).clamp(0, 1) for start in starts]
        with evaluating(self.backbone), torch.enable_grad():  # type: ignore[arg-type]
            for _ in range(self.backbone.steps):
                copies = [copy.detach().requires_grad_() for copy in moved]
                first = copies[0] if self.contrast else None
                second = copies[-1] if self.classification else None
                value = self.backbone.losses(first, second, fixed)
                gradients = torch.autograd.grad(value, copies)
                moved = [
                    torch.minimum(
                        torch.maximum(copy.detach() + step * gradient.sign(), start - eps),
                        start + eps,
                    ).clamp(0, 1)
                    for copy, gradient, start in zip(copies, gradients, starts, strict=True)
                ]
        return [copy.transpose(0, 1) for copy in moved]
